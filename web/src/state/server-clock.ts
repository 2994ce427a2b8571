// The server's clock, as far as its answers tell: people's own clocks are minutes off more often than one thinks.

let aheadMs = 0;

/** Takes the time from an answer's `Date` header (RFC 9110, section 6.6.1: whole seconds, so the middle of one is meant). */
export function noteDate(response: Response, now = Date.now()): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const found = date + 500 - now;
  // Within what the header's second and the way back can explain, our own clock is as good.
  aheadMs = Math.abs(found) < 2_000 ? 0 : found;
}

/** The server's time now, in ms since 1970. */
export const serverNow = () => Date.now() + aheadMs;
