// The last step before the loudspeaker: seats on one media timeline, mixed 10 ms at a time. The playhead follows the delay that
// the network's spread asks for by skipping or repeating single pitch periods; holes are concealed; in silence it simply jumps.
// Pure: runs in the AudioWorklet and under node alike.

import { Continuation, lengthen, shorten } from "./conceal.js";

/** Samples at 48 kHz: a tick, and the block in which sound is mixed. */
const FRAME = 960;
const BLOCK = 480;
/** Frames that a seat's ring holds: 1.28 s. Nothing older or newer is kept. */
const SLOTS = 64;
const MS = 48;
/** Off the wished delay by this much, the playhead begins to move, and by the second, stops moving. */
const BEGIN = 12 * MS;
const STOP = 3 * MS;
/** So much behind, it jumps: a burst after a stall would otherwise be heard late for seconds. */
const JUMP = 400 * MS;
/** Blocks between two gentle stretches. */
const GENTLE = 8;

class Seat {
  slots = new Array(SLOTS).fill(null);
  voice = new Continuation();
  /** In a talkspurt whose end was not told: a hole is loss, not silence. */
  talking = false;
  level = 127;

  put(frame) {
    this.slots[frame.group % SLOTS] = frame;
  }
  at(group) {
    const frame = this.slots[group % SLOTS];
    return frame?.group === group ? frame : null;
  }

  /** The next `BLOCK` samples at `position`. Returns "heard", "concealed" or "silent". */
  block(position, out) {
    const group = Math.floor(position / FRAME);
    const offset = position % FRAME;
    const frame = this.at(group);
    if (frame) {
      out.set(frame.pcm.subarray(offset, offset + BLOCK));
      this.voice.join(out);
      this.voice.heard(out);
      this.talking = !(frame.end && offset + BLOCK >= FRAME);
      this.level = frame.level;
      return "heard";
    }
    this.level = 127;
    if (!this.talking) {
      out.fill(0);
      return "silent";
    }
    this.voice.invent(out);
    this.talking = !this.voice.spent;
    return "concealed";
  }
}

export class Playout {
  /** Counters since the start: blocks a seat was heard, concealed; frames too late; times the buffer ran dry; jumps. */
  counts = { heard: 0, concealed: 0, late: 0, dry: 0, jumps: 0, shortened: 0, lengthened: 0 };
  #seats = new Map();
  #playhead = 0;
  #newest = 0;
  #idle = true;
  #dry = false;
  #ready = [];
  #readySamples = 0;
  #offset = 0;
  #error = 0;
  #moving = 0;
  #sinceStretch = 0;
  #onBlock;

  /** `onBlock(seat, position, samples)` sees each seat's sound as it goes into the mix (for tests). */
  constructor({ onBlock = null } = {}) {
    this.#onBlock = onBlock;
  }

  /**
   * A decoded frame: `{seat, group, pcm, level, end, behind, target}`; `pcm` holds 960 samples, `behind` is how late it came
   * and `target` the wished playout delay, both in ms after the quickest packet.
   */
  receive(frame) {
    const start = frame.group * FRAME;
    const wished = (frame.target - frame.behind) * MS;
    if (this.#idle) {
      // Nothing sounds: put the playhead just where it shall be.
      this.#playhead = floor(start - Math.max(0, wished));
      this.#idle = false;
      this.#error = 0;
      this.#moving = 0;
      this.#newest = start;
    }
    const left = start - (this.#playhead - this.#readySamples);
    const error = left - wished;
    if (Math.abs(error) > JUMP) return this.#jump(frame, start, wished);
    this.#error += (error - this.#error) * 0.08;
    if (start + FRAME <= this.#playhead) {
      this.counts.late += 1;
      return;
    }
    this.#put(frame, start);
  }

  /** Fills `out` with the next samples. */
  render(out) {
    for (let filled = 0; filled < out.length; ) {
      if (this.#ready.length === 0) this.#refill();
      const block = this.#ready[0];
      const count = Math.min(out.length - filled, block.length - this.#offset);
      out.set(block.subarray(this.#offset, this.#offset + count), filled);
      filled += count;
      this.#offset += count;
      this.#readySamples -= count;
      if (this.#offset === block.length) {
        this.#ready.shift();
        this.#offset = 0;
      }
    }
  }

  /** How far the sound lags behind the quickest packet by now, in ms, beside the wished delay. */
  get offTarget() {
    return this.#error / MS;
  }
  get idle() {
    return this.#idle;
  }
  /** `[seat, level]` of the seats that sound at the moment. */
  levels() {
    return [...this.#seats].filter(([, seat]) => seat.talking).map(([number, seat]) => [number, seat.level]);
  }

  #put(frame, start) {
    let seat = this.#seats.get(frame.seat);
    if (!seat) this.#seats.set(frame.seat, (seat = new Seat()));
    seat.put(frame);
    this.#newest = Math.max(this.#newest, start + FRAME);
  }

  #jump(frame, start, wished) {
    this.counts.jumps += 1;
    for (const seat of this.#seats.values()) if (seat.talking) seat.voice.cut();
    this.#playhead = floor(start - Math.max(0, wished));
    this.#newest = start;
    this.#error = 0;
    this.#moving = 0;
    this.#put(frame, start);
  }

  #refill() {
    this.#sinceStretch += 1;
    if (Math.abs(this.#error) > BEGIN) this.#moving = Math.sign(this.#error);
    if (Math.abs(this.#error) < STOP || Math.sign(this.#error) !== this.#moving) this.#moving = 0;
    const urgent = Math.abs(this.#error) > 6 * BEGIN;
    const may = this.#moving !== 0 && !this.#idle && (urgent || this.#sinceStretch >= GENTLE);
    const ahead = this.#newest - this.#playhead;
    const blocks = may && this.#moving > 0 && ahead >= 3 * BLOCK ? 3 : may && this.#moving < 0 && ahead >= 2 * BLOCK ? 2 : 1;
    let sound = this.#pull(blocks);
    if (blocks === 3) sound = this.#stretched(sound, shorten(sound, BLOCK, 2 * BLOCK), "shortened");
    if (blocks === 2) sound = this.#stretched(sound, lengthen(sound, BLOCK, BLOCK / 2), "lengthened");
    soften(sound);
    this.#ready.push(sound);
    this.#readySamples += sound.length;
  }

  #stretched(before, after, counter) {
    if (!after) return before;
    this.counts[counter] += 1;
    this.#sinceStretch = 0;
    this.#error -= before.length - after.length; // shorter: what comes will be played that much sooner
    return after;
  }

  #pull(blocks) {
    const mix = new Float32Array(blocks * BLOCK);
    const own = new Float32Array(BLOCK);
    for (let block = 0; block < blocks; block++) {
      const into = mix.subarray(block * BLOCK, (block + 1) * BLOCK);
      let sounding = false;
      for (const [number, seat] of this.#seats) {
        const kind = seat.block(this.#playhead, own);
        if (kind === "silent") continue;
        this.counts[kind] += 1;
        sounding ||= seat.talking;
        for (let i = 0; i < BLOCK; i++) into[i] += own[i];
        this.#onBlock?.(number, this.#playhead, own);
      }
      this.#advance(sounding);
    }
    return mix;
  }

  // Past the newest frame, a talking seat means that packets are late: the playhead waits for them, so that none is thrown
  // away. Otherwise it is a pause, and the playhead is set anew when somebody talks again.
  #advance(sounding) {
    if (this.#idle) return;
    if (this.#playhead < this.#newest) {
      this.#playhead += BLOCK;
      this.#dry = false;
    } else if (sounding) {
      if (!this.#dry) this.counts.dry += 1;
      this.#dry = true;
    } else {
      this.#idle = true;
      this.#dry = false;
    }
  }
}

/** The playhead stands on whole blocks, never before the first. */
const floor = (position) => Math.max(0, Math.floor(position / BLOCK) * BLOCK);

/** Several loud voices at once stay within −1..1, without a hard clip. */
function soften(samples) {
  for (let i = 0; i < samples.length; i++) {
    const loud = Math.abs(samples[i]);
    if (loud > 0.8) samples[i] = Math.sign(samples[i]) * (0.8 + 0.2 * Math.tanh((loud - 0.8) / 0.2));
  }
}
