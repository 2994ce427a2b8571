// Which transport carries the session: WebTransport, and where that is missing or does not open in time (UDP blocked), a
// WebSocket beside it; whichever opens first. What worked is tried first next time, until the network changes.

import { type Address, ConnectError, type OpenTransport, type Transport } from "./transport";

/** A transport gets this long alone, in ms, before the next is tried beside it. */
export const HEAD_START = 3_000;

export interface Choice {
  open: OpenTransport;
  /** The network has changed: begin with the best again. */
  forget(): void;
}

/** `openers` are in order of preference. */
export function transportChoice(openers: readonly OpenTransport[], headStart = HEAD_START): Choice {
  let first = 0;
  return {
    open: async (address, signal) => {
      const order = [...openers.keys()].sort((a, b) => Number(b === first) - Number(a === first) || a - b);
      const { transport, opener } = await race(
        order.map((opener) => ({ opener, open: openers[opener] as OpenTransport })),
        address,
        signal,
        headStart,
      );
      first = opener;
      return transport;
    },
    forget() {
      first = 0;
    },
  };
}

interface Won {
  transport: Transport;
  opener: number;
}

function race(
  runners: { opener: number; open: OpenTransport }[],
  address: Address,
  signal: AbortSignal,
  headStart: number,
): Promise<Won> {
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let begun = 0;
    let running = 0;
    let over = false;
    let failure: ConnectError | null = null;
    const finish = (act: () => void) => {
      over = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      stop.abort(); // the others
      act();
    };
    const aborted = () => finish(() => reject(new ConnectError("Given up.")));
    const next = () => {
      clearTimeout(timer);
      const runner = runners[begun];
      if (!runner) return;
      begun += 1;
      running += 1;
      runner.open(address, stop.signal).then(
        (transport) => {
          if (over) return transport.close(0, "another was quicker");
          finish(() => resolve({ transport, opener: runner.opener }));
        },
        (error) => {
          running -= 1;
          if (over) return;
          const told = error instanceof ConnectError ? error : new ConnectError(String(error?.message ?? error));
          // What the server itself said is worth more than "cannot be reached".
          if (!failure || (told.code && !failure.code) || (told.retry && !failure.code && !failure.retry))
            failure = told;
          if (begun < runners.length) next();
          else if (running === 0) finish(() => reject(failure));
        },
      );
      if (begun < runners.length) timer = setTimeout(next, headStart);
    };
    if (signal.aborted) return reject(new ConnectError("Given up."));
    signal.addEventListener("abort", aborted);
    next();
  });
}
