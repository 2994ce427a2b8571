// Levels as they are shown. RFC 6464: 0 is the loudest, 127 silence, in −dBov.

const FAINT = 55;
const LOUD = 20;

/** From 0 (nothing to see) to 1 (loud). */
export function glow(level: number): number {
  return Math.min(1, Math.max(0, (FAINT - level) / (FAINT - LOUD)));
}

/** Loud enough to be called speaking. */
export const speaks = (level: number) => level < 48;
