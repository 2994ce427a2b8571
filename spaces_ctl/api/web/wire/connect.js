// Opens a WebTransport session and picks the protocol: by subprotocol where the browser offers one, and always by the URL's
// `protocol`, because Firefox sends no subprotocol.

import { Lite05 } from "./lite05.js";
import { Moqt18 } from "./moqt18.js";

const PROTOCOLS = new Map([Lite05, Moqt18].map((session) => [session.protocol, session]));

/** A session could not be had. `retry` says whether trying again may help. */
export class ConnectError extends Error {
  constructor(message, { retry = true } = {}) {
    super(message);
    this.retry = retry;
  }
}

/** Whether this browser can hear a Space at all, and if not, what it lacks. */
export function missing(scope = globalThis) {
  if (!scope.isSecureContext) return "a secure page (https, or this computer's own address)";
  if (typeof scope.WebTransport !== "function") return "WebTransport";
  if (typeof scope.AudioDecoder !== "function") return "WebCodecs audio";
  return null;
}

/**
 * `url` is the server's, `token` the join token or nothing, `certificate` the SHA-256 of a development certificate in hex or
 * nothing. Resolves to a session that has begun.
 */
export async function connect({ url, token, certificate, protocol = Lite05.protocol, timeout = 8_000, onGoAway }) {
  const Chosen = PROTOCOLS.get(protocol);
  if (!Chosen) throw new ConnectError(`This page does not speak “${protocol}”.`, { retry: false });
  const address = new URL(url);
  if (token) address.searchParams.set("jwt", token);
  address.searchParams.set("protocol", protocol);
  const options = { protocols: [protocol], requireUnreliable: true, congestionControl: "low-latency" };
  if (certificate) options.serverCertificateHashes = [{ algorithm: "sha-256", value: unhex(certificate) }];

  const transport = new WebTransport(address.href, options);
  transport.closed.catch(() => {}); // told by `ready` as long as there is no session
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new ConnectError("The server does not answer.")), timeout);
  });
  try {
    await Promise.race([transport.ready, late]);
  } catch (error) {
    transport.close?.();
    if (error instanceof ConnectError) throw error;
    throw new ConnectError("The server refused the connection, or cannot be reached.");
  } finally {
    clearTimeout(timer);
  }
  // An answer without a subprotocol means that the server went by the URL.
  const session = new (PROTOCOLS.get(transport.protocol) ?? Chosen)(transport, { onGoAway });
  session.protocol = (PROTOCOLS.get(transport.protocol) ?? Chosen).protocol;
  await session.begin();
  return session;
}

/** Bytes of a hex string; colons between them are allowed. */
export function unhex(hex) {
  const digits = hex.replaceAll(":", "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new ConnectError("The certificate's fingerprint is not hexadecimal.", { retry: false });
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
