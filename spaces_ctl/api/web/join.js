// How this page learns where to connect, as {url, certificate_sha256_hex, token, space, title, seat?}, and how it gets a seat,
// as {seat, token}. A link that names a Space (`?space=…`) asks the API, as whoever is signed in here, or as a guest; the demo
// has two addresses of its own.

/** The page's own server said no, or nothing. */
export class JoinError extends Error {
  constructor(message, { retry = true } = {}) {
    super(message);
    this.retry = retry;
  }
}

const CANNOT_JOIN = "This Space cannot be joined";
const NO_SEAT = "There is no free seat on the stage";

/** `query` is the page's own. */
export async function fetchJoin(query) {
  const space = spaceIn(query);
  if (!space) return ask(`/demo/join.json${query}`, { cache: "no-store" }, CANNOT_JOIN);
  const { title, you } = await ask(space, { cache: "no-store" }, CANNOT_JOIN);
  const joined = await command("POST", `${space}/join`, { anonymous: false }, you.role === "guest", CANNOT_JOIN);
  return {
    url: joined.urls[0],
    certificate_sha256_hex: joined.certificate_sha256,
    token: joined.token,
    space: space.slice(space.lastIndexOf("/") + 1),
    title: title || "Spaces",
    // A muted seat is as good as none: to speak from it is asked for first.
    seat: joined.seat === null || joined.muted ? null : { seat: joined.seat, token: joined.token },
  };
}

export async function fetchSeat(query) {
  const space = spaceIn(query);
  if (!space) return ask(`/demo/seat${query}`, { method: "POST" }, NO_SEAT);
  const { you } = await ask(space, { cache: "no-store" }, NO_SEAT);
  if (!["host", "cohost", "speaker"].includes(you.role)) {
    await command("PUT", `${space}/mic`, undefined, you.role === "guest", NO_SEAT);
  }
  await command("POST", `${space}/mic/unmute`, undefined, false, NO_SEAT);
  const { seat } = await fetchJoin(query);
  if (!seat) throw new JoinError(`${NO_SEAT}.`, { retry: false });
  return seat;
}

/** The Space's address on the API; null for the demo's. */
function spaceIn(query) {
  const name = new URLSearchParams(query).get("space");
  return name && `/api/v1/spaces/${encodeURIComponent(name)}`;
}

/** A change needs to show that it comes from this page, if the browser is signed in (docs/security.md). */
export async function command(method, path, body, guest, failure) {
  const headers = {};
  if (!guest) headers["x-csrf-token"] = (await ask("/api/v1/me/csrf", { cache: "no-store" }, failure)).token;
  if (body !== undefined) headers["content-type"] = "application/json";
  return ask(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" }, failure);
}

/** JSON of the API. Throws JoinError, which begins with `failure`. */
export async function ask(path, options, failure) {
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
