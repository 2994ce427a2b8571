// What the loudspeaker's worklet played, for tests: with `?tap=1` the page keeps it and gives it out by `spaces.tap()`.

/** Longest that is kept of one signal: three minutes at 48 kHz. */
const LONGEST = 180 * 48_000;

export class Tap {
  #signals = new Map();

  /** `{seat, position, pcm}`; seat "mix" is all together, `position` in samples. */
  take({ seat, position, pcm }) {
    let signal = this.#signals.get(seat);
    if (!signal) this.#signals.set(seat, (signal = { blocks: [], length: 0 }));
    if (signal.length >= LONGEST) return;
    signal.blocks.push({ position, pcm });
    signal.length += pcm.length;
  }

  /** Seats heard so far. */
  seats() {
    return [...this.#signals.keys()].filter((seat) => seat !== "mix").sort((a, b) => a - b);
  }

  /**
   * The mix as it was played, or one seat's sound on the media timeline with silence where there was none: `{sampleRate, from,
   * samples}`, the samples as base64 of little-endian 16 bit.
   */
  read(seat = "mix") {
    const { blocks } = this.#signals.get(seat) ?? { blocks: [] };
    if (blocks.length === 0) return { sampleRate: 48_000, from: 0, samples: "" };
    const from = blocks.reduce((least, { position }) => Math.min(least, position), Infinity);
    const end = blocks.reduce((most, { position, pcm }) => Math.max(most, position + pcm.length), 0);
    const whole = new Int16Array(Math.min(LONGEST, end - from));
    for (const { position, pcm } of blocks) {
      for (let i = 0, at = position - from; i < pcm.length && at < whole.length; i++, at++) {
        whole[at] = Math.round(Math.max(-1, Math.min(1, pcm[i])) * 32_767);
      }
    }
    return { sampleRate: 48_000, from, samples: base64(new Uint8Array(whole.buffer)) };
  }
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
