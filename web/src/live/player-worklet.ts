// The loudspeaker's end: bundles come in by a port straight from the engine's worker, mixed sound goes out. The receiver
// runs here, in the audio thread, so that the sound card's own clock pulls what is played and nothing waits in between.
//
// In:  {packets: port}   {gain: [seat, gain]}        by the port: {tier, group, payload}  {want}
// Out: PlayerReport   {tap: {seat, position, pcm}}   by the port: {playing}

import { seatsOf } from "./bundle";
import { Receiver, type ReceiverStats } from "./receiver";
import type { Tier } from "./tiers";

/** Between two reports, in render quanta of 128 samples: 80 ms. */
const REPORT = 30;

export interface PlayerOptions {
  module: WebAssembly.Module;
  /** For tests: "mix" gives out what is played, "seats" each person's sound too. */
  tap: "" | "mix" | "seats";
}

export interface Bundle {
  tier: Tier;
  group: number;
  payload: Uint8Array;
}
/** By the port of the packets. */
export type FromPackets = Bundle | { want: Tier };
export type ToPackets = { playing: Tier };

export interface PlayerReport {
  levels: Uint8Array;
  stats: ReceiverStats;
  /** What is heard. */
  tier: Tier;
  traps: number;
  /** Longest that one render quantum took to make since the last report, in ms; 2.7 would be too long on and on. */
  slowestMs: number;
  /** Longest pause between two render quanta that were asked for, in ms. */
  pauseMs: number;
  /** Whether anything but silence was played so far. */
  heard: boolean;
}

export type ToPlayer = { packets: MessagePort } | { gain: [seat: number, gain: number] };
export type FromPlayer =
  | { report: PlayerReport }
  | { tap: { seat: number | "mix"; position: number; pcm: Float32Array } };

// Not every browser has `performance` here. `Date` counts whole milliseconds, which is fine for packets 20 ms apart.
const clock: { now(): number } = globalThis.performance ?? Date;

class Player extends AudioWorkletProcessor {
  #receiver: Receiver;
  #packets: MessagePort | null = null;
  #playing: Tier = "stage";
  #solo = new Map<number, Receiver>();
  #options: PlayerOptions;
  #quanta = 0;
  #slowest = 0;
  #pause = 0;
  #last = 0;
  #heard = false;

  constructor({ processorOptions }: { processorOptions: PlayerOptions }) {
    super();
    this.#options = processorOptions;
    this.#receiver = new Receiver(processorOptions.module);
    this.port.onmessage = ({ data }: MessageEvent<ToPlayer>) => {
      if ("packets" in data) {
        this.#packets = data.packets;
        data.packets.onmessage = (message: MessageEvent<FromPackets>) => this.#take(message.data);
      } else if ("gain" in data) this.#receiver.gain(...data.gain);
    };
  }

  process(_inputs: Float32Array[][], [[out]]: [[Float32Array]]): boolean {
    const now = clock.now();
    this.#receiver.pull(now, out);
    if (this.#receiver.playing !== this.#playing) {
      this.#playing = this.#receiver.playing;
      this.#packets?.postMessage({ playing: this.#playing } satisfies ToPackets);
    }
    this.#heard ||= out.some((sample) => sample !== 0);
    this.#slowest = Math.max(this.#slowest, clock.now() - now);
    if (this.#last > 0) this.#pause = Math.max(this.#pause, now - this.#last);
    this.#last = now;
    if (this.#options.tap) this.#tap(now, out);
    if (++this.#quanta % REPORT === 0) this.#report();
    return true;
  }

  #take(message: FromPackets): void {
    if ("want" in message) {
      this.#receiver.want(message.want);
      return;
    }
    const { tier, group, payload } = message;
    const now = clock.now();
    this.#receiver.push(now, tier, group, payload);
    // Nobody can be told apart in the mix.
    if (this.#options.tap !== "seats" || tier === "mix") return;
    for (const seat of seatsOf(payload)) if (!this.#solo.has(seat)) this.#solo.set(seat, this.#alone(seat));
    for (const solo of this.#solo.values()) solo.push(now, tier, group, payload);
  }

  /** A receiver of its own that hears one seat only: what that person's part of the mix is. */
  #alone(seat: number): Receiver {
    const receiver = new Receiver(this.#options.module);
    for (let other = 0; other < 13; other++) receiver.gain(other, other === seat ? 1 : 0);
    return receiver;
  }

  #tap(now: number, out: Float32Array): void {
    this.port.postMessage({ tap: { seat: "mix", position: currentFrame, pcm: out.slice() } });
    for (const [seat, solo] of this.#solo) {
      const pcm = new Float32Array(out.length);
      solo.pull(now, pcm);
      this.port.postMessage({ tap: { seat, position: currentFrame, pcm } });
    }
  }

  #report(): void {
    const report: PlayerReport = {
      levels: this.#receiver.speaking(),
      stats: this.#receiver.stats(),
      tier: this.#playing,
      traps: this.#receiver.traps,
      slowestMs: this.#slowest,
      pauseMs: this.#pause,
      heard: this.#heard,
    };
    this.#slowest = 0;
    this.#pause = 0;
    this.port.postMessage({ report } satisfies FromPlayer);
  }
}

registerProcessor("spaces-player", Player);
