// A speaker's frames: microphone samples to Opus packets with level and talkspurt flags. Runs in the worker.

import { encodeUplink, levelOf, MutedTalk, type SpurtFlags, Talkspurts, VoiceActivity } from "./uplink";

const PLAIN: AudioEncoderConfig = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1, bitrate: 32_000 };
// No `usedtx`: the browser's encoder then leaves frames out in the middle of a talkspurt, which listeners can only take for
// loss. Talkspurts are cut by level instead, and say where they begin and end.
const CONFIG = {
  ...PLAIN,
  opus: { frameDuration: 20_000, application: "voip", signal: "voice", useinbandfec: true, packetlossperc: 10 },
} as AudioEncoderConfig;

export interface MicrophoneReport {
  /** RFC 6464, of the last frame; told while muted too. */
  level: number;
  talkingWhileMuted: boolean;
}

export class VoiceEncoder {
  muted = false;
  /** Whether somebody takes the frames. The first one that is taken begins a talkspurt. */
  wanted: () => boolean = () => true;
  #encoder: AudioEncoder | null = null;
  #activity = new VoiceActivity();
  #spurts = new Talkspurts();
  #mutedTalk = new MutedTalk();
  #frame: number;
  #flags = new Map<number, (SpurtFlags & { level: number }) | null>();
  #owesStart = false;

  /** `onFrame(sequence, payload)` gets what is to be published, from `first` on; `onReport` is called every frame. */
  constructor(
    first: number,
    readonly onFrame: (sequence: number, payload: Uint8Array) => void,
    readonly onReport: (report: MicrophoneReport) => void,
  ) {
    this.#frame = first;
  }

  /** Number of the next frame. */
  get next(): number {
    return this.#frame;
  }

  /** Older browsers refuse options that they do not know: then plain Opus does. Throws where there is no encoder at all. */
  async open(): Promise<void> {
    const { supported } = await AudioEncoder.isConfigSupported(CONFIG).catch(() => ({ supported: false }));
    this.#encoder = new AudioEncoder({ output: (chunk) => this.#output(chunk), error: () => {} });
    this.#encoder.configure(supported ? CONFIG : PLAIN);
  }

  /** The next 960 samples. */
  take(samples: Float32Array<ArrayBuffer>): void {
    if (this.#encoder?.state !== "configured") return;
    const frame = this.#frame++;
    const level = levelOf(samples);
    const voice = this.#activity.next(level);
    this.onReport({ level, talkingWhileMuted: this.#mutedTalk.next(voice, this.muted) });
    const flags = this.#flagsOf(voice);
    const timestamp = frame * 20_000;
    this.#flags.set(timestamp, flags && { ...flags, level: this.muted ? 127 : level });
    const data = new AudioData({
      format: "f32-planar",
      sampleRate: 48_000,
      numberOfFrames: 960,
      numberOfChannels: 1,
      timestamp,
      data: this.muted ? new Float32Array(960) : samples,
    });
    this.#encoder.encode(data); // silence too, so that the encoder's memory is that of the talk
    data.close();
  }

  close(): void {
    if (this.#encoder && this.#encoder.state !== "closed") this.#encoder.close();
    this.#encoder = null;
  }

  #flagsOf(voice: boolean): SpurtFlags | null {
    if (this.wanted()) return this.muted ? this.#spurts.cut() : this.#spurts.next(voice);
    this.#spurts.cut();
    return null;
  }

  #output(chunk: EncodedAudioChunk): void {
    const timestamp = Math.round(chunk.timestamp / 20_000) * 20_000;
    const flags = this.#flags.get(timestamp);
    for (const [older, skipped] of this.#flags) {
      if (older > timestamp) break;
      this.#flags.delete(older);
      // An encoder may leave out a frame: if it was the one that begins the talkspurt, the next one does.
      if (older < timestamp && skipped?.start) this.#owesStart = true;
    }
    if (!flags) return;
    const start = flags.start || this.#owesStart;
    this.#owesStart = false;
    const opus = new Uint8Array(chunk.byteLength);
    chunk.copyTo(opus);
    this.onFrame(timestamp / 20_000, encodeUplink(flags.level, { ...flags, start }, opus));
  }
}
