// Opus to samples, one WebCodecs decoder a seat. The browser's decoder has no concealment of its own: frames that are missing
// are simply not given to it, and the playout fills the hole.

/** A seat silent for this long, in ms, gives its decoder back. */
const IDLE = 60_000;

const CONFIG = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1 };

export class Decoders {
  #seats = new Map();
  #onPcm;
  /** Packets that the decoder refused. */
  failures = 0;

  /** `onPcm(frame, pcm)` gets each frame that was handed to [decode] with its 960 samples, in order within a seat. */
  constructor(onPcm) {
    this.#onPcm = onPcm;
  }

  decode(frame, now) {
    let seat = this.#seats.get(frame.seat);
    if (!seat || seat.decoder.state === "closed") this.#seats.set(frame.seat, (seat = this.#open()));
    seat.used = now;
    const timestamp = frame.group * 20_000;
    seat.waiting.set(timestamp, frame);
    // Every Opus packet can be decoded by itself.
    seat.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data: frame.opus }));
    for (const [number, other] of this.#seats) if (now - other.used > IDLE) this.#close(number, other);
  }

  close() {
    for (const [number, seat] of this.#seats) this.#close(number, seat);
  }

  #open() {
    const seat = { waiting: new Map(), used: 0, decoder: null };
    seat.decoder = new AudioDecoder({
      output: (data) => this.#output(seat, data),
      error: () => (this.failures += 1), // it is closed by then; the next frame opens another
    });
    seat.decoder.configure(CONFIG);
    return seat;
  }

  #output(seat, data) {
    // Outputs come in the order of inputs; an input before this one had no output.
    const frame = seat.waiting.get(data.timestamp) ?? seat.waiting.values().next().value;
    for (const [timestamp, older] of seat.waiting) {
      seat.waiting.delete(timestamp);
      if (older === frame) break;
    }
    const pcm = new Float32Array(960);
    const count = Math.min(960, data.numberOfFrames);
    data.copyTo(pcm.subarray(0, count), { planeIndex: 0, frameCount: count, format: "f32-planar" });
    data.close();
    if (frame) this.#onPcm(frame, pcm);
  }

  #close(number, seat) {
    this.#seats.delete(number);
    if (seat.decoder.state !== "closed") seat.decoder.close();
  }
}
