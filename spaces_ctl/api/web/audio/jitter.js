// How long to wait for packets, and in which order to decode them. Pure: time is handed in, in milliseconds of any clock.
// `Arrivals` measures the spread of the network and names the playout delay that covers it; `SeatQueue` puts one seat's frames
// in order and decides when a missing one is lost.

/** A tick, in ms. */
export const TICK = 20;

const BUCKET = 5;
const BUCKETS = 120;
/** Share of packets that the delay shall cover. */
const COVERED = 0.97;
/** Weight that the past keeps at each packet: a memory of about ten seconds of talk. */
const MEMORY = 0.998;
/** The quickest packet of this long is what delays are measured from, so that a drifting clock is followed. */
const BASE_WINDOW = 5_000;
/** Time to decode and mix, on top of the spread. */
const MARGIN = 20;
const SHORTEST = 40;
const LONGEST = 500;
const AT_FIRST = 60;

/** The spread of arrivals of one stream of ticks. */
export class Arrivals {
  #histogram = new Float64Array(BUCKETS);
  #count = 0;
  #newest = -1;
  #bases = [];

  /**
   * Group `group` has come at `now`. Returns how much later it came than the quickest of late, in ms. A group counts once; for
   * one that came before, or a repetition, use [behind].
   */
  arrive(group, now) {
    const transit = now - group * TICK;
    this.#rebase(transit, now);
    const behind = transit - this.#base();
    this.#newest = Math.max(this.#newest, group);
    // At first every packet weighs the same; later the past fades.
    this.#count += 1;
    const keep = Math.min(MEMORY, 1 - 1 / this.#count);
    for (let i = 0; i < BUCKETS; i++) this.#histogram[i] *= keep;
    this.#histogram[Math.min(BUCKETS - 1, Math.floor(behind / BUCKET))] += 1 - keep;
    return behind;
  }

  /** How late `group` is at `now`, without counting it. */
  behind(group, now) {
    return this.#bases.length === 0 ? 0 : now - group * TICK - this.#base();
  }

  /** The playout delay to aim for, in ms after the quickest arrival. */
  target() {
    if (this.#count < 10) return AT_FIRST;
    let covered = 0;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && (covered += this.#histogram[bucket]) < COVERED) bucket += 1;
    return Math.min(LONGEST, Math.max(SHORTEST, (bucket + 1) * BUCKET + MARGIN));
  }

  /** When `group` is to be played, by the clock of `arrive`. */
  due(group) {
    return this.#bases.length === 0 ? 0 : this.#base() + group * TICK + this.target();
  }

  /** The connection was changed: delays of the old one mean nothing for the new one. */
  reset() {
    this.#histogram.fill(0);
    this.#count = 0;
    this.#bases = [];
  }

  // The least transit of the last one to two windows, from two running minima.
  #rebase(transit, now) {
    const newest = this.#bases[0];
    if (!newest || now - newest.since >= BASE_WINDOW) this.#bases = [{ since: now, least: transit }, newest].filter(Boolean);
    else newest.least = Math.min(newest.least, transit);
  }
  #base() {
    return Math.min(...this.#bases.map(({ least }) => least));
  }
}

/** Longest gap that a seat waits for, in frames; a longer one is an interruption, not a loss to wait out. */
const LONGEST_GAP = 25;

/** One seat's frames on their way into the decoder, in order. */
export class SeatQueue {
  #held = new Map();
  #next = null;
  #ended = true;
  /** Counters of frames: gone into the decoder, missing where sound was expected, come too late, come twice. */
  counts = { played: 0, lost: 0, late: 0, repeated: 0 };

  /** A frame `{group, start, end, …}` has come. */
  push(frame) {
    if (this.#next !== null && frame.group < this.#next) {
      this.counts[frame.redundant ? "repeated" : "late"] += 1;
    } else if (this.#held.has(frame.group)) {
      this.counts.repeated += 1;
    } else {
      this.#held.set(frame.group, frame);
    }
  }

  /**
   * Frames to decode now, in order. `due(group)` says when a group is to be played: a missing frame is waited for until then,
   * unless silence explains it. Returns `{frames, wait}`, with `wait` the time at which to ask again, or null.
   */
  take(now, due) {
    const frames = [];
    while (this.#held.size > 0) {
      const group = Math.min(...this.#held.keys());
      const frame = this.#held.get(group);
      const gap = this.#next === null ? 0 : group - this.#next;
      const silence = frame.start && (this.#ended || gap > 3);
      if (gap > 0 && !silence && gap <= LONGEST_GAP) {
        const wait = due(this.#next);
        if (now < wait) return { frames, wait };
      }
      if (gap > 0 && gap <= LONGEST_GAP && !(frame.start && this.#ended)) this.counts.lost += this.#ended ? 1 : frame.start ? 0 : gap;
      this.#held.delete(group);
      this.#next = group + 1;
      this.#ended = frame.end;
      this.counts.played += 1;
      frames.push(frame);
    }
    return { frames, wait: null };
  }
}
