// The browser's own transport: QUIC, with real datagrams. The protocol is picked by subprotocol where the browser offers
// one, and always by the address's `protocol`, because Firefox sends no subprotocol.

import { type Address, type Bidi, type Closed, ConnectError, type OpenTransport, type Transport } from "./transport";

/** Longest that the server may take, in ms, if nobody gives up before. */
const PATIENCE = 8_000;

interface Options extends WebTransportOptions {
  protocols?: string[];
}
export type Tuned = WebTransport & { protocol?: string };

export function hasWebTransport(scope: { WebTransport?: unknown } = globalThis): boolean {
  return typeof scope.WebTransport === "function";
}

export const openWebTransport: OpenTransport = async (address, signal) => {
  if (!hasWebTransport()) throw new ConnectError("This browser has no WebTransport.", "", false);
  const options: Options = {
    protocols: [address.protocol],
    requireUnreliable: true,
    congestionControl: "low-latency",
  };
  if (address.certificate) {
    options.serverCertificateHashes = [{ algorithm: "sha-256", value: unhex(address.certificate) }];
  }
  return opened(new WebTransport(target(address, /^https:/), options), "webtransport", address, signal);
};

/** Waits until a transport is open, or closes it. Throws [ConnectError]. */
export async function opened(
  transport: Tuned,
  path: Transport["path"],
  address: Address,
  signal: AbortSignal,
): Promise<Transport> {
  transport.closed.catch(() => {}); // told by `ready` as long as there is no session
  let stop = () => {};
  const gaveUp = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new ConnectError("The server does not answer.")), PATIENCE);
    const aborted = () => reject(new ConnectError("Given up."));
    signal.addEventListener("abort", aborted);
    stop = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    };
  });
  try {
    signal.throwIfAborted();
    await Promise.race([transport.ready, gaveUp]);
  } catch (error) {
    try {
      transport.close();
    } catch {
      // it never was
    }
    if (error instanceof ConnectError) throw error;
    throw new ConnectError("The server refused the connection, or cannot be reached.");
  } finally {
    stop();
  }
  return wrap(transport, path, address);
}

/** The first address of one of these schemes, with the token in it. Throws [ConnectError]. */
export function target({ urls, token, protocol }: Address, schemes: RegExp): string {
  const first = urls.find((url) => schemes.test(url));
  if (!first) throw new ConnectError("The server offers no such connection.", "", false);
  const url = new URL(first);
  if (token) url.searchParams.set("jwt", token);
  url.searchParams.set("protocol", protocol);
  return url.href;
}

function wrap(transport: Tuned, path: Transport["path"], address: Address): Transport {
  // Late audio is worthless: whatever waited longer than this in the browser is dropped there. A short queue, on the other
  // hand, (Chromium's holds one datagram) would drop what is not late at all whenever this thread waits for its turn.
  Object.assign(transport.datagrams, {
    incomingMaxAge: 1_000,
    incomingHighWaterMark: 128,
    outgoingMaxAge: 200,
    outgoingHighWaterMark: 16,
  });
  const datagrams: WritableStreamDefaultWriter<Uint8Array> = transport.datagrams.writable.getWriter();
  return {
    path,
    protocol: transport.protocol || address.protocol,
    incomingDatagrams: transport.datagrams.readable as ReadableStream<Uint8Array>,
    incomingUnidirectional: transport.incomingUnidirectionalStreams as ReadableStream<ReadableStream<Uint8Array>>,
    incomingBidirectional: transport.incomingBidirectionalStreams as ReadableStream<Bidi>,
    sendDatagram(bytes) {
      datagrams.write(bytes).catch(() => {});
    },
    openUnidirectional: () => transport.createUnidirectionalStream(),
    openBidirectional: () => transport.createBidirectionalStream() as Promise<Bidi>,
    closed: transport.closed.then(
      (info): Closed => ({ code: info.closeCode ?? 0, reason: info.reason ?? "" }),
      (): Closed => ({ code: null, reason: "" }),
    ),
    close(code, reason) {
      try {
        transport.close({ closeCode: code, reason });
      } catch {
        // it was never open, or is closed already
      }
    },
  };
}

/** Bytes of a hex string; colons between them are allowed. */
export function unhex(hex: string): Uint8Array<ArrayBuffer> {
  const digits = hex.replaceAll(":", "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new ConnectError("The certificate's fingerprint is not hexadecimal.", "", false);
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
