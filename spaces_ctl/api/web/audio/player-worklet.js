// The loudspeaker's end: decoded frames come in by a port from the worker, mixed sound goes out. All logic is in playout.js.

import { Playout } from "./playout.js";

/** Between two reports, in render quanta of 128 samples: 80 ms. */
const REPORT = 30;

class Player extends AudioWorkletProcessor {
  #playout;
  #page = this.port;
  #quanta = 0;
  #tap = false;

  constructor({ processorOptions }) {
    super();
    this.#tap = processorOptions?.tap === true;
    this.#playout = new Playout({
      onBlock: this.#tap ? (seat, position, pcm) => this.#page.postMessage({ tap: { seat, position, pcm: pcm.slice() } }) : null,
    });
    this.port.onmessage = ({ data }) => {
      data.port.onmessage = ({ data: frame }) => this.#playout.receive(frame);
    };
  }

  process(_inputs, [[out]]) {
    this.#playout.render(out);
    if (this.#tap) this.#page.postMessage({ tap: { seat: "mix", position: currentFrame, pcm: out.slice() } });
    if (++this.#quanta % REPORT === 0) {
      const { counts, offTarget, idle } = this.#playout;
      this.#page.postMessage({ report: { levels: this.#playout.levels(), counts: { ...counts }, offTarget, idle } });
    }
    return true;
  }
}

registerProcessor("spaces-player", Player);
