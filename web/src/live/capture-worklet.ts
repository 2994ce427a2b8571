// The microphone's end: cuts its sound into 20 ms frames and hands them to the engine's worker by a port.

const FRAME = 960;

class Capture extends AudioWorkletProcessor {
  #frame = new Float32Array(FRAME);
  #filled = 0;
  #port: MessagePort | null = null;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<{ port: MessagePort }>) => {
      this.#port = data.port;
    };
  }

  process([[samples]]: [[Float32Array | undefined]]): boolean {
    // No input means that the track has ended or not begun: the capture clock goes on all the same.
    const length = samples?.length ?? 128;
    for (let at = 0; at < length; ) {
      const count = Math.min(length - at, FRAME - this.#filled);
      if (samples) this.#frame.set(samples.subarray(at, at + count), this.#filled);
      else this.#frame.fill(0, this.#filled, this.#filled + count);
      this.#filled += count;
      at += count;
      if (this.#filled < FRAME) continue;
      this.#port?.postMessage(this.#frame, [this.#frame.buffer]);
      this.#frame = new Float32Array(FRAME);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("spaces-capture", Capture);
