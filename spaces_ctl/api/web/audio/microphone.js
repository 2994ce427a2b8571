// A speaker's frames: microphone samples to Opus packets with level and talkspurt flags. Runs in the worker.

import { Talkspurts, encodeUplink, levelOf } from "../uplink.js";

const CONFIG = {
  codec: "opus",
  sampleRate: 48_000,
  numberOfChannels: 1,
  bitrate: 32_000,
  opus: { frameDuration: 20_000, application: "voip", signal: "voice", useinbandfec: true, packetlossperc: 10 },
};
// No `usedtx`: the browser's encoder then leaves frames out in the middle of a talkspurt, which listeners can only take for loss.
// Talkspurts are cut by level instead, and say where they begin and end.

export class Microphone {
  muted = false;
  /** Whether somebody takes the frames. The first one that is taken begins a talkspurt. */
  wanted = () => true;
  #encoder;
  #spurts = new Talkspurts();
  #frame = 0;
  #flags = new Map();
  #owesStart = false;
  #onFrame;
  #onLevel;

  /** `onFrame(sequence, payload)` gets what is to be published; `onLevel(level)` the loudness of every frame, −dBov. */
  constructor(onFrame, onLevel) {
    this.#onFrame = onFrame;
    this.#onLevel = onLevel;
  }

  /** Older browsers refuse options that they do not know: then plain Opus does. */
  async open() {
    const { opus, ...plain } = CONFIG;
    const { supported } = await AudioEncoder.isConfigSupported(CONFIG).catch(() => ({ supported: false }));
    this.#encoder = new AudioEncoder({ output: (chunk) => this.#output(chunk), error: () => {} });
    this.#encoder.configure(supported ? CONFIG : plain);
  }

  /** The next 960 samples. */
  take(samples) {
    const frame = this.#frame++;
    const level = this.muted ? 127 : levelOf(samples);
    this.#onLevel(level);
    const flags = this.#flagsOf(level);
    const timestamp = frame * 20_000;
    this.#flags.set(timestamp, flags && { ...flags, level });
    const data = new AudioData({
      format: "f32-planar", sampleRate: 48_000, numberOfFrames: 960, numberOfChannels: 1, timestamp,
      data: this.muted ? new Float32Array(960) : samples,
    });
    this.#encoder.encode(data); // silence too, so that the encoder's memory is that of the talk
    data.close();
  }

  close() {
    if (this.#encoder?.state !== "closed") this.#encoder?.close();
  }

  #flagsOf(level) {
    if (this.wanted()) return this.muted ? this.#spurts.cut() : this.#spurts.next(level);
    this.#spurts.cut();
    return null;
  }

  #output(chunk) {
    const timestamp = Math.round(chunk.timestamp / 20_000) * 20_000;
    const flags = this.#flags.get(timestamp);
    for (const [older, skipped] of this.#flags) {
      if (older > timestamp) break;
      this.#flags.delete(older);
      // An encoder may leave out a frame: if it was the one that begins the talkspurt, the next one does.
      if (older < timestamp && skipped?.start) this.#owesStart = true;
    }
    if (!flags) return;
    flags.start ||= this.#owesStart;
    this.#owesStart = false;
    const opus = new Uint8Array(chunk.byteLength);
    chunk.copyTo(opus);
    this.#onFrame(timestamp / 20_000, encodeUplink({ ...flags, opus }));
  }
}
