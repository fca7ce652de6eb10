// The sound of what is drawn: 16-bit samples into an AudioWorklet. Browsers let a page sound only
// after a click, so the button appears with the first samples and nothing is heard before it.

export function soundPlayer(button) {
  let context = null;
  let node = null;
  let on = false;
  let shape = null; // "rate x channels" of what is played

  async function open(rate, channels) {
    await context?.close();
    context = new AudioContext({ sampleRate: rate });
    await context.audioWorklet.addModule("/page/sound-worklet.js");
    node = new AudioWorkletNode(context, "kinetoscope-player", {
      numberOfInputs: 0,
      outputChannelCount: [channels],
      processorOptions: { channels },
    });
    node.port.onmessage = ({ data }) => (button.dataset.played = data);
    node.connect(context.destination);
    await context.resume();
  }

  let last = null;
  button.addEventListener("click", async () => {
    on = !on;
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Sound off" : "Sound on";
    if (!on) await context?.suspend();
    else if (last) await play(last);
  });

  async function play({ rate, channels, samples }) {
    const wanted = `${rate} x ${channels}`;
    if (wanted !== shape) {
      shape = wanted;
      await open(rate, channels);
    }
    if (context?.state === "suspended") await context.resume();
    node?.port.postMessage(samples);
  }

  return async (sound) => {
    button.hidden = false;
    last = sound;
    if (on) await play(sound);
  };
}
