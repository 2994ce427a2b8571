// How this page learns where to connect: GET /demo/join.json → {url, certificate_sha256_hex, token, space, title, seat?}, and for
// speaking POST /demo/seat → {seat, token}.

/** The page's own server said no, or nothing. */
export class JoinError extends Error {
  constructor(message, { retry = true } = {}) {
    super(message);
    this.retry = retry;
  }
}

/** `query` is the page's own, so that a link may name a Space. */
export const fetchJoin = (query) => ask(`/demo/join.json${query}`, { cache: "no-store" }, "This Space cannot be joined");

export const fetchSeat = (query) => ask(`/demo/seat${query}`, { method: "POST" }, "There is no free seat on the stage");

async function ask(path, options, failure) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new JoinError("The server cannot be reached.");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const reason = typeof body.detail === "string" ? body.detail : typeof body.error === "string" ? body.error : "";
  // 4xx: asking again gives the same answer, but for "too many" and "timeout".
  const retry = response.status >= 500 || response.status === 408 || response.status === 429;
  throw new JoinError(reason ? `${failure}: ${reason}` : `${failure}.`, { retry });
}
