// Signal processing shared by concealment and time-stretching: how alike two stretches of a signal are, and joining them.

/** Energy below which a stretch counts as silence and may be cut or repeated anywhere: −55 dBFS. */
const QUIET = 10 ** -5.5;

/**
 * The lag in `[from, to]` at which the `width` samples at `at` are most like those `lag` samples away (before them with
 * `direction` −1, behind with 1). Returns `{lag, likeness}`, likeness −1..1. Coarse steps first, then every sample around the
 * best.
 */
export function bestLag(signal, at, width, from, to, direction) {
  let best = { lag: from, likeness: -1 };
  const probe = (lag, stride) => {
    let cross = 0;
    let own = 1e-9;
    let other = 1e-9;
    for (let i = 0; i < width; i += stride) {
      const a = signal[at + i];
      const b = signal[at + i + direction * lag];
      cross += a * b;
      own += a * a;
      other += b * b;
    }
    const likeness = cross / Math.sqrt(own * other);
    if (likeness > best.likeness) best = { lag, likeness };
  };
  for (let lag = from; lag <= to; lag += 4) probe(lag, 4);
  const around = best.lag;
  best = { lag: around, likeness: -1 };
  for (let lag = Math.max(from, around - 4); lag <= Math.min(to, around + 4); lag++) probe(lag, 1);
  return best;
}

/** Whether `signal` holds next to no sound. */
export function isQuiet(signal) {
  let energy = 0;
  for (const sample of signal) energy += sample * sample;
  return energy <= QUIET * signal.length;
}

/**
 * `signal` shorter by one period: its first `fade` samples glide from themselves into those one period later. Null if no
 * period would join without being heard.
 */
export function shorten(signal, fade, longest) {
  const quiet = isQuiet(signal);
  const { lag, likeness } = bestLag(signal, 0, fade, 120, Math.min(longest, signal.length - fade), 1);
  if (!quiet && likeness < 0.6) return null;
  const out = new Float32Array(signal.length - lag);
  for (let i = 0; i < fade; i++) out[i] = glide(signal[i], signal[i + lag], i / fade);
  out.set(signal.subarray(fade + lag), fade);
  return out;
}

/** `signal` longer by one period, which is repeated after sample `at`. Null if it would be heard. */
export function lengthen(signal, at, fade) {
  const quiet = isQuiet(signal);
  const { lag, likeness } = bestLag(signal, at, fade, 120, at, -1);
  if (!quiet && likeness < 0.6) return null;
  const out = new Float32Array(signal.length + lag);
  out.set(signal.subarray(0, at));
  for (let i = 0; i < fade; i++) out[at + i] = glide(signal[at + i], signal[at + i - lag], i / fade);
  out.set(signal.subarray(at + fade - lag), at + fade);
  return out;
}

/** Between two samples, `share` of the way. */
export const glide = (from, to, share) => from + (to - from) * share;

const HISTORY = 1440;
const HOLD = 480;
const FADE = 2880;

/**
 * Goes on with a voice whose next packet is missing: its last pitch period is repeated, at full strength for 10 ms, then
 * fading out over 60 ms.
 */
export class Continuation {
  #history = new Float32Array(HISTORY);
  #period = null;
  #at = 0;

  /** Real sound was played. */
  heard(samples) {
    if (samples.length >= HISTORY) {
      this.#history.set(samples.subarray(samples.length - HISTORY));
    } else {
      this.#history.copyWithin(0, samples.length);
      this.#history.set(samples, HISTORY - samples.length);
    }
    this.#period = null;
  }

  /** Nothing more comes of it. */
  get spent() {
    return this.#period !== null && this.#at >= HOLD + FADE;
  }
  /** What is played next does not follow what was: glide into it. */
  cut() {
    this.invent(new Float32Array(0));
  }

  /** Fills `out` with what the voice might have gone on with. */
  invent(out) {
    if (!this.#period) {
      const width = 480;
      const { lag, likeness } = bestLag(this.#history, HISTORY - width, width, 120, HISTORY - width - 1, -1);
      // Without a pitch a short period would buzz: repeat a long stretch instead.
      this.#period = this.#history.slice(HISTORY - (likeness > 0.4 ? lag : 720));
      this.#at = 0;
    }
    for (let i = 0; i < out.length; i++, this.#at++) {
      const strength = Math.min(1, Math.max(0, 1 - (this.#at - HOLD) / FADE));
      out[i] = this.#period[this.#at % this.#period.length] * strength;
    }
  }

  /** The real sound is back after inventing: its first samples glide in over what would have been invented next. */
  join(samples, fade = 240) {
    if (!this.#period) return;
    const invented = new Float32Array(fade);
    this.invent(invented);
    for (let i = 0; i < fade; i++) samples[i] = glide(invented[i], samples[i], i / fade);
  }
}
