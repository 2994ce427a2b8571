// The same session over TCP, where the browser has no WebTransport or the network lets no UDP through: QMux
// (draft-ietf-quic-qmux) in the messages of a WebSocket, by the library of those who wrote the binding. It is fetched only
// when it is needed.

import { ConnectError, type OpenTransport } from "./transport";
import { opened, type Tuned, target } from "./transport-webtransport";

export const openWebSocket: OpenTransport = async (address, signal) => {
  const url = target(address, /^wss?:/);
  const { default: Session } = await import("@moq/qmux");
  if (signal.aborted) throw new ConnectError("Given up.");
  const transport = new Session(url, {
    protocols: [address.protocol],
    versions: { [address.protocol]: ["qmux-02", "qmux-01"] },
    requireProtocol: true,
    // What waits in the browser is late already.
    sendBufferSize: 4 * 1024,
    config: {
      // Room for a `state` snapshot beside sound; as many streams as a server opens at once.
      maxStreamsBidi: 16n,
      maxStreamsUni: 64n,
      maxIdleTimeout: 20_000n,
    },
  });
  return opened(transport as unknown as Tuned, "websocket", address, signal);
};
