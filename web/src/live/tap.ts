// What the loudspeaker's worklet played, for tests: with `?tap` in the address the page keeps it and gives it out by
// `spaces.tap()`.

/** Longest that is kept of one signal: four minutes at 48 kHz. */
const LONGEST = 240 * 48_000;

interface Signal {
  blocks: { position: number; pcm: Float32Array }[];
  length: number;
}

export class Tap {
  #signals = new Map<number | "mix", Signal>();

  /** Seat "mix" is all together; `position` in samples of the audio context's clock. */
  take({ seat, position, pcm }: { seat: number | "mix"; position: number; pcm: Float32Array }): void {
    let signal = this.#signals.get(seat);
    if (!signal) {
      signal = { blocks: [], length: 0 };
      this.#signals.set(seat, signal);
    }
    if (signal.length >= LONGEST) return;
    signal.blocks.push({ position, pcm });
    signal.length += pcm.length;
  }

  /** Seats heard so far. */
  seats(): number[] {
    return [...this.#signals.keys()].filter((seat) => seat !== "mix").sort((a, b) => a - b);
  }

  forget(): void {
    this.#signals.clear();
  }

  /** What was played: `{sampleRate, from, samples}`, the samples as base64 of little-endian 16 bit. */
  read(seat: number | "mix" = "mix"): { sampleRate: number; from: number; samples: string } {
    const { blocks } = this.#signals.get(seat) ?? { blocks: [] };
    if (blocks.length === 0) return { sampleRate: 48_000, from: 0, samples: "" };
    const from = blocks.reduce((least, { position }) => Math.min(least, position), Number.POSITIVE_INFINITY);
    const end = blocks.reduce((most, { position, pcm }) => Math.max(most, position + pcm.length), 0);
    const whole = new Int16Array(Math.min(LONGEST, end - from));
    for (const { position, pcm } of blocks) {
      let at = position - from;
      for (const sample of pcm) whole[at++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32_767);
    }
    return { sampleRate: 48_000, from, samples: base64(new Uint8Array(whole.buffer)) };
  }
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
