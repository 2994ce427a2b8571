// One session's audio on its way to the loudspeaker: bundles → order → decoder → worklet. Survives reconnects: a new session
// goes on where the old one stopped.

import { decodeBundle } from "./bundle.js";
import { Arrivals, SeatQueue } from "./audio/jitter.js";
import { Decoders } from "./audio/decoders.js";

/** A missing frame must be given up this long before it is due, in ms, so that the next one is decoded in time. */
const DECODE_TIME = 12;

export class Listener {
  #arrivals = new Arrivals();
  #queues = new Map();
  #decoders;
  #newest = -1;
  #timer = null;
  /** Bundles that made no sense. */
  malformed = 0;
  bytes = 0;

  /** `play(frame)` gets decoded frames as playout.js wants them. */
  constructor(play) {
    this.#decoders = new Decoders((frame, pcm) => {
      const { seat, group, level, start, end, behind } = frame;
      play({ seat, group, pcm, level, start, end, behind, target: this.#arrivals.target() });
    });
  }

  /** An object of `stage` or `stage.1`. */
  object({ group, payload }, now) {
    let entries;
    try {
      entries = decodeBundle(payload);
    } catch {
      this.malformed += 1;
      return;
    }
    this.bytes += payload.length;
    const fresh = group > this.#newest;
    if (fresh && this.#newest >= 0 && group - this.#newest > 3_000) this.#arrivals.reset(); // the server's clock was set anew
    const behind = fresh || group === this.#newest ? this.#arrivals.arrive(group, now) : this.#arrivals.behind(group, now);
    this.#newest = Math.max(this.#newest, group);
    for (const entry of entries) {
      const own = entry.redundant ? group - 1 : group;
      if (own < 0) continue;
      const opus = entry.opus.slice(); // the datagram's memory is not ours to keep
      this.#queue(entry.seat).push({ ...entry, opus, group: own, behind: entry.redundant ? behind + 20 : behind });
    }
    this.#decode(now);
  }

  /** The next session may have other delays. */
  reconnected() {
    this.#arrivals.reset();
  }

  /** `{target, played, lost, late, repeated, malformed}`: wished delay in ms, frames since the start. */
  stats() {
    const sum = { target: this.#arrivals.target(), played: 0, lost: 0, late: 0, repeated: 0 };
    for (const { counts } of this.#queues.values()) for (const name of Object.keys(counts)) sum[name] += counts[name];
    return { ...sum, malformed: this.malformed, bytes: this.bytes, refused: this.#decoders.failures };
  }

  close() {
    clearTimeout(this.#timer);
    this.#decoders.close();
  }

  #queue(seat) {
    let queue = this.#queues.get(seat);
    if (!queue) this.#queues.set(seat, (queue = new SeatQueue()));
    return queue;
  }

  #decode(now) {
    let next = Infinity;
    for (const queue of this.#queues.values()) {
      const { frames, wait } = queue.take(now, (group) => this.#arrivals.due(group) - DECODE_TIME);
      for (const frame of frames) this.#decoders.decode(frame, now);
      if (wait !== null) next = Math.min(next, wait);
    }
    clearTimeout(this.#timer);
    if (next < Infinity) this.#timer = setTimeout(() => this.#decode(performance.now()), Math.max(1, next - now));
  }
}
