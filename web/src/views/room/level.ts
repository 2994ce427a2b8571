// Levels as they are shown. RFC 6464: 0 is the loudest, 127 silence, in −dBov.

const FAINT = 62;
const LOUD = 22;

/** From 0 (nothing to see) to 1 (loud). */
export function glow(level: number): number {
  return Math.min(1, Math.max(0, (FAINT - level) / (FAINT - LOUD)));
}

/** Loud enough to be called speaking. */
export const speaks = (level: number) => level < 55;
