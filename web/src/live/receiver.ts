// The receiver in WebAssembly (engine-rs/wasm, whose abi.rs tells the exports): bundles in, 48 kHz mono out. It holds the
// jitter buffer, the Opus decoders with their concealment and error correction, the time-stretch and the mixer.

import { SEATS } from "./bundle";
import type { Tier } from "./tiers";

/** Playout delay in ms over that of the fastest packets: at least, at most, before anything was measured. */
const LEAST = 20;
const MOST = 500;
const FIRST = 40;
/** Longest payload that the module takes, in bytes. */
const LONGEST = 2_048;
/** In the speaking levels: the seat is not heard. */
export const SILENT = 255;

interface Exports {
  memory: WebAssembly.Memory;
  spaces_create(leastMs: number, mostMs: number, firstMs: number): number;
  spaces_destroy(receiver: number): void;
  spaces_input(receiver: number): number;
  spaces_push(receiver: number, nowUs: number, group: number, length: number): void;
  spaces_push_mix(receiver: number, nowUs: number, group: number, length: number): void;
  spaces_want(receiver: number, mix: number): void;
  spaces_playing(receiver: number): number;
  spaces_output(receiver: number): number;
  spaces_pull(receiver: number, nowUs: number, samples: number): number;
  spaces_gain(receiver: number, seat: number, gain: number): void;
  spaces_speaking(receiver: number): number;
  spaces_stats(receiver: number): number;
}

/** Order of the module's statistics. Samples are those of a seat each, at 48 kHz. */
export const STATS = [
  "pulledSamples",
  "decodedSamples",
  "fecSamples",
  "concealedSamples",
  "removedSamples",
  "insertedSamples",
  "latePackets",
  "duplicatePackets",
  "redundantPackets",
  "refusedPackets",
  "skippedTicks",
  "stalls",
  "restarts",
  "targetMs",
  "delayMs",
] as const;
export type ReceiverStats = Record<(typeof STATS)[number], number>;

/** One receiver. Times are of one clock, in ms. */
export class Receiver {
  /** Times that the decoder broke down and was begun anew. */
  traps = 0;
  #module: WebAssembly.Module;
  #engine: Exports;
  #handle: number;
  #gains = new Map<number, number>();
  #wanted: Tier = "stage";

  constructor(module: WebAssembly.Module) {
    this.#module = module;
    [this.#engine, this.#handle] = create(module);
  }

  /** A payload of track `stage` or `stage.1` came, or of `mix`. */
  push(nowMs: number, tier: Tier, group: number, payload: Uint8Array): void {
    if (payload.length > LONGEST) return;
    this.#guard(() => {
      const engine = this.#engine;
      const at = engine.spaces_input(this.#handle);
      new Uint8Array(engine.memory.buffer, at, payload.length).set(payload);
      const push = tier === "mix" ? engine.spaces_push_mix : engine.spaces_push;
      push(this.#handle, nowMs * 1_000, group, payload.length);
    });
  }

  /** What is to be heard, as soon as that can be done without a gap. */
  want(tier: Tier): void {
    this.#wanted = tier;
    this.#guard(() => this.#engine.spaces_want(this.#handle, tier === "mix" ? 1 : 0));
  }
  /** What is heard. */
  get playing(): Tier {
    return this.#engine.spaces_playing(this.#handle) === 1 ? "mix" : "stage";
  }

  /** Fills `out` with what is played next. */
  pull(nowMs: number, out: Float32Array): void {
    const pulled = this.#guard(() => {
      const engine = this.#engine;
      const samples = engine.spaces_pull(this.#handle, nowMs * 1_000, out.length);
      out.set(new Float32Array(engine.memory.buffer, engine.spaces_output(this.#handle), samples));
    });
    if (!pulled) out.fill(0);
  }

  /** One person's volume: 0 to 1.5. */
  gain(seat: number, gain: number): void {
    this.#gains.set(seat, gain);
    this.#guard(() => this.#engine.spaces_gain(this.#handle, seat, gain));
  }

  /** RFC 6464 levels of the seats in what was pulled last; `SILENT` for who is not heard. */
  speaking(): Uint8Array {
    const engine = this.#engine;
    return new Uint8Array(engine.memory.buffer, engine.spaces_speaking(this.#handle), SEATS).slice();
  }

  stats(): ReceiverStats {
    const engine = this.#engine;
    const numbers = new Float64Array(engine.memory.buffer, engine.spaces_stats(this.#handle), STATS.length);
    return Object.fromEntries(STATS.map((name, i) => [name, numbers[i] ?? 0])) as ReceiverStats;
  }

  // After a trap the module's memory is in doubt: a fresh instance goes on with the next packets.
  #guard(act: () => void): boolean {
    try {
      act();
      return true;
    } catch {
      this.traps += 1;
      [this.#engine, this.#handle] = create(this.#module);
      this.#engine.spaces_want(this.#handle, this.#wanted === "mix" ? 1 : 0);
      for (const [seat, gain] of this.#gains) this.#engine.spaces_gain(this.#handle, seat, gain);
      return false;
    }
  }
}

function create(module: WebAssembly.Module): [Exports, number] {
  const engine = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  return [engine, engine.spaces_create(LEAST, MOST, FIRST)];
}
