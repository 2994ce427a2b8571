// Live text as it is shown: a later line of the same number replaces the earlier, empty text withdraws nothing but says that
// something was said that was not captioned (docs/captions.md).

import type { CaptionLine } from "./live-audio";

/** Lines kept. */
const MOST = 50;
/** A line that is not final and is followed by nothing for so long, in ms, goes: its speaker may have withdrawn. */
export const STALE = 10_000;

export class CaptionLines {
  #lines: (CaptionLine & { at: number })[] = [];

  /** Takes what came; the lines as they are now. Anything that is no line is left out. */
  take(said: unknown, now: number): readonly CaptionLine[] {
    const line = lineOf(said);
    if (line) {
      const at = this.#lines.findIndex((other) => other.line === line.line);
      // A final line does not become unfinished again when its drafts come late.
      if (at < 0) this.#lines.push({ ...line, at: now });
      else if (line.final || !this.#lines[at]?.final) this.#lines[at] = { ...line, at: now };
      this.#lines.sort((a, b) => Number(a.line) - Number(b.line));
      this.#lines = this.#lines.slice(-MOST);
    }
    return this.current(now);
  }

  current(now: number): readonly CaptionLine[] {
    this.#lines = this.#lines.filter((line) => line.final || now - line.at < STALE);
    return this.#lines.map(({ line, account, text, final }) => ({ line, account, text, final }));
  }

  clear(): void {
    this.#lines = [];
  }
}

function lineOf(said: unknown): CaptionLine | null {
  if (typeof said !== "object" || said === null) return null;
  const { n, account, text, final } = said as Record<string, unknown>;
  if (typeof n !== "number" || typeof account !== "string" || typeof text !== "string") return null;
  return { line: String(n), account, text, final: final === true };
}
