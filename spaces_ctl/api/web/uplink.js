// What a speaker publishes: `level (1 byte) | flags (1 byte) | Opus packet`, one object a 20 ms frame. The level is that of
// RFC 6464: bits 0–6 in −dBov (0 loudest, 127 silence), bit 7 voice activity. Flags: bit 0 first frame of a talkspurt, bit 1
// its last.

/** Longest Opus packet that a seat may send. */
export const MAX_FRAME = 512;

/** The object's payload. */
export function encodeUplink({ level, voice, start, end, opus }) {
  if (opus.length === 0 || opus.length > MAX_FRAME) throw new RangeError(`an Opus packet of ${opus.length} bytes`);
  const out = new Uint8Array(2 + opus.length);
  out[0] = (level & 0x7f) | (voice ? 0x80 : 0);
  out[1] = (start ? 1 : 0) | (end ? 2 : 0);
  out.set(opus, 2);
  return out;
}

/** RFC 6464 level of samples in −1..1: 0 is full scale, 127 silence. */
export function levelOf(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  const dbov = 10 * Math.log10(energy / Math.max(1, samples.length) + 1e-13);
  return Math.min(127, Math.max(0, Math.round(-dbov)));
}

/** Samples at 48 kHz in an Opus packet (RFC 6716 §3.1, §3.2), or 0 if it cannot be told. */
export function packetSamples(opus) {
  if (opus.length === 0) return 0;
  const config = opus[0] >> 3;
  const frame =
    config < 12 ? [480, 960, 1920, 2880][config & 3] : config < 16 ? [480, 960][config & 1] : [120, 240, 480, 960][config & 3];
  const code = opus[0] & 3;
  if (code === 3) return opus.length < 2 ? 0 : frame * (opus[1] & 0x3f);
  return code === 0 ? frame : frame * 2;
}

/** Frames that a talkspurt goes on after the last voice: half a second, so that no soft word end is cut. */
const HANGOVER = 25;
/** Never silence: whatever is louder than this is sent, in −dBov. */
const ALWAYS = 50;
/** Never voice: below this nothing is sent. */
const NEVER = 72;

/**
 * Cuts the microphone's frames into talkspurts. Voice is what stands 6 dB out of the room's noise, whose level is followed
 * downwards at once and upwards slowly.
 */
export class Talkspurts {
  #noise = ALWAYS + 10;
  #left = 0;

  /** What to do with the next frame of this level: `null` to send nothing, else its flags. */
  next(level) {
    this.#noise = level > this.#noise ? level : this.#noise - 0.02;
    const voice = level < NEVER && (level <= ALWAYS || level <= this.#noise - 6);
    const before = this.#left;
    this.#left = voice ? HANGOVER : Math.max(0, before - 1);
    if (before === 0 && !voice) return null;
    return { voice, start: before === 0, end: this.#left === 0 };
  }

  /** Nothing is said from here on: the flags of the one frame that ends the talkspurt, or null if there is none. */
  cut() {
    const talking = this.#left > 0;
    this.#left = 0;
    return talking ? { voice: false, start: false, end: true } : null;
  }
}
