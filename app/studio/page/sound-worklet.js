// Plays what it is given, as it comes, from a ring that never holds more than a few seconds. A
// message with another run begins anew: what waits is not wanted any more.

const SECONDS = 4;

class Player extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.channels = processorOptions.channels;
    this.size = Math.ceil(SECONDS * sampleRate);
    this.ring = Array.from({ length: this.channels }, () => new Float32Array(this.size));
    this.begin(0);
    this.port.onmessage = ({ data }) => {
      if (data.run !== this.run) this.begin(data.run);
      if (data.samples) this.take(data.samples);
    };
  }

  begin(run) {
    this.run = run;
    this.written = 0;
    this.read = 0;
    this.played = 0;
  }

  take(samples) {
    const count = samples.length / this.channels;
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < this.channels; c++) {
        this.ring[c][(this.written + i) % this.size] = samples[i * this.channels + c] / 32768;
      }
    }
    this.written += count;
    this.read = Math.max(this.read, this.written - this.size); // too much: the oldest goes
  }

  process(_, [output]) {
    const count = Math.min(output[0].length, this.written - this.read);
    for (let c = 0; c < output.length; c++) {
      const source = this.ring[Math.min(c, this.channels - 1)];
      for (let i = 0; i < count; i++) output[c][i] = source[(this.read + i) % this.size];
    }
    this.read += count;
    this.played += count;
    if (count > 0) this.port.postMessage({ run: this.run, played: this.played });
    return true;
  }
}

registerProcessor("kinetoscope-player", Player);
