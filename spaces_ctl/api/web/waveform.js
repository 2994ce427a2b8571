// Draws peaks (audiowaveform's JSON, version 2) as bars; what was played is darker.

const BAR = 3;
const GAP = 2;

export class Waveform {
  #canvas;
  #peaks;
  #seconds;

  constructor(canvas, peaks, seconds) {
    this.#canvas = canvas;
    this.#peaks = peaks;
    this.#seconds = seconds;
  }

  /** `at` is the position in seconds. */
  draw(at) {
    const canvas = this.#canvas;
    const { width, height } = canvas.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = getComputedStyle(canvas).color;
    const bars = Math.max(1, Math.floor(width / (BAR + GAP)));
    const { data, length, sample_rate: rate, samples_per_pixel: step } = this.#peaks;
    const points = Math.min(length, (this.#seconds * rate) / step);
    for (let bar = 0; bar < bars; bar += 1) {
      let loudest = 0;
      const end = Math.max(Math.floor(((bar + 1) * points) / bars), Math.floor((bar * points) / bars) + 1);
      for (let point = Math.floor((bar * points) / bars); point < end && point < length; point += 1) {
        loudest = Math.max(loudest, -data[2 * point], data[2 * point + 1]);
      }
      const tall = Math.max(2, (loudest / 127) * height);
      context.globalAlpha = (bar + 0.5) / bars <= at / this.#seconds ? 1 : 0.4;
      context.fillRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall);
    }
  }
}
