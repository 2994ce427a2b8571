// What a speaker publishes: `level (1 byte) | flags (1 byte) | Opus packet`, one object a 20 ms frame. The level is that of
// RFC 6464: bits 0–6 in −dBov (0 loudest, 127 silence), bit 7 voice activity. Flags: bit 0 first frame of a talkspurt, bit 1
// its last.

/** Longest Opus packet that a seat may send. */
export const MAX_FRAME = 512;

export interface SpurtFlags {
  voice: boolean;
  start: boolean;
  end: boolean;
}

/** The object's payload. Throws RangeError for a packet of no or too many bytes. */
export function encodeUplink(level: number, { voice, start, end }: SpurtFlags, opus: Uint8Array): Uint8Array {
  if (opus.length === 0 || opus.length > MAX_FRAME) throw new RangeError(`an Opus packet of ${opus.length} bytes`);
  const out = new Uint8Array(2 + opus.length);
  out[0] = (level & 0x7f) | (voice ? 0x80 : 0);
  out[1] = (start ? 1 : 0) | (end ? 2 : 0);
  out.set(opus, 2);
  return out;
}

/** RFC 6464 level of samples in −1..1: 0 is full scale, 127 silence. */
export function levelOf(samples: Float32Array): number {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  const dbov = 10 * Math.log10(energy / Math.max(1, samples.length) + 1e-13);
  return Math.min(127, Math.max(0, Math.round(-dbov)));
}

/** Frames that a talkspurt goes on after the last voice: half a second, so that no soft word end is cut. */
const HANGOVER = 25;
/** Never silence: whatever is louder than this is sent, in −dBov. */
const ALWAYS = 50;
/** Never voice: below this nothing is sent. */
const NEVER = 72;

/** Tells voice from a room: what stands 6 dB out of its noise, whose level is followed downwards at once, upwards slowly. */
export class VoiceActivity {
  #noise = ALWAYS + 10;

  next(level: number): boolean {
    this.#noise = level > this.#noise ? level : this.#noise - 0.02;
    return level < NEVER && (level <= ALWAYS || level <= this.#noise - 6);
  }
}

/** Cuts the microphone's frames into talkspurts. */
export class Talkspurts {
  #left = 0;

  /** What to do with the next frame: `null` to send nothing, else its flags. */
  next(voice: boolean): SpurtFlags | null {
    const before = this.#left;
    this.#left = voice ? HANGOVER : Math.max(0, before - 1);
    if (before === 0 && !voice) return null;
    return { voice, start: before === 0, end: this.#left === 0 };
  }

  /** Nothing is said from here on: the flags of the one frame that ends the talkspurt, or null if there is none. */
  cut(): SpurtFlags | null {
    const talking = this.#left > 0;
    this.#left = 0;
    return talking ? { voice: false, start: false, end: true } : null;
  }
}

/** Frames of voice before a muted person is told (0.3 s), and of silence before the hint goes again (2 s). */
const HINT_AFTER = 15;
const HINT_GONE_AFTER = 100;

/** Whether somebody talks while muted: a cough is not talking. */
export class MutedTalk {
  #voiced = 0;
  #quiet = 0;
  #hint = false;

  next(voice: boolean, muted: boolean): boolean {
    if (!muted) {
      this.#voiced = 0;
      this.#hint = false;
      return false;
    }
    if (voice) {
      this.#quiet = 0;
      this.#voiced += 1;
    } else {
      this.#quiet += 1;
      if (this.#quiet > 10) this.#voiced = 0;
    }
    if (this.#voiced >= HINT_AFTER) this.#hint = true;
    else if (this.#quiet >= HINT_GONE_AFTER) this.#hint = false;
    return this.#hint;
  }
}
