// The sound of what is drawn: 16-bit samples into an AudioWorklet, from the place at which the
// pictures are. Browsers let a page sound only after a click, so the button appears with the first
// samples and nothing is heard before it.

const AHEAD = 0.3; // seconds of sound that the worklet holds
const LOOSE = 0.15; // seconds that sound may be away from its pictures
const MOST = 600; // seconds of a video's sound that are held

export function makeSound(button) {
  let context = null;
  let node = null;
  let on = false;
  let shape = ""; // "rate x channels" of what is played
  let held = { order: 0, rate: 0, channels: 1, samples: new Int16Array(0), there: 0 };
  let run = 0; // times that playing began somewhere; the worklet answers with it
  let begun = 0; // the sample that it began with
  let fed = 0; // the sample before which all is in the worklet
  let played = 0; // samples since then
  let total = 0;

  async function open() {
    shape = `${held.rate} x ${held.channels}`;
    node = null;
    await context?.close();
    context = new AudioContext({ sampleRate: held.rate });
    await context.audioWorklet.addModule("/page/sound-worklet.js");
    const made = new AudioWorkletNode(context, "kinetoscope-player", {
      numberOfInputs: 0,
      outputChannelCount: [held.channels],
      processorOptions: { channels: held.channels },
    });
    made.port.onmessage = ({ data }) => {
      if (data.run !== run) return; // of a place that was left
      total += data.played - played;
      played = data.played;
      button.dataset.played = total;
    };
    made.connect(context.destination);
    await context.resume();
    silence();
    node = made;
  }

  button.addEventListener("click", async () => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Sound off" : "Sound on";
    if (!on) await context?.suspend();
    else if (shape !== `${held.rate} x ${held.channels}`) await open();
    else await context.resume();
  });

  // Samples that have come; they are those of the newest order.
  async function take({ order, rate, channels, first, samples }) {
    button.hidden = false;
    if (order !== held.order) {
      held = { order, rate, channels, samples: new Int16Array(0), there: 0 };
      silence();
      if (on && shape !== `${rate} x ${channels}`) await open();
    }
    const end = first + samples.length / channels;
    if (end > MOST * rate) return;
    if (end * channels > held.samples.length) {
      const larger = new Int16Array(2 * end * channels);
      larger.set(held.samples);
      held.samples = larger;
    }
    held.samples.set(samples, first * channels);
    held.there = Math.max(held.there, end);
  }

  function silence() {
    run++;
    played = 0;
    begun = fed = -1; // nowhere
    node?.port.postMessage({ run });
  }

  // The pictures of an order are here, or stand still (null): called with every picture.
  function at(order, seconds) {
    if (!on || !node) return;
    if (order !== held.order || seconds === null) {
      if (begun >= 0) silence();
      return;
    }
    const wanted = Math.round(seconds * held.rate);
    const isElsewhere = Math.abs(begun + played - wanted) > LOOSE * held.rate;
    if (begun < 0 || isElsewhere) {
      silence();
      begun = fed = wanted;
    }
    const until = Math.min(held.there, wanted + Math.round(AHEAD * held.rate));
    if (until > fed) {
      const samples = held.samples.slice(fed * held.channels, until * held.channels);
      node.port.postMessage({ run, samples });
      fed = until;
    }
  }

  return { take, at };
}
