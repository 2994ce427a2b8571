// Server-sent events of the API (HTML living standard, section 9.2): one stream for a Space, one for the own account.
// EventSource connects again by itself and says the id of the last event that it saw.

/** What came: `type` as in the event stream's documentation, in snake case. */
export interface ServerEvent<T = unknown> {
  type: string;
  data: T;
  id: string;
}

export interface Stream {
  close(): void;
}

/**
 * Reads `path` until closed. `types` are the names of the events that are wanted. `onLost` is called when the stream
 * breaks and again and again until it is back; `onOpen` when it is there: what was missed in between is told by the
 * server, unless it is too long ago, which it says as a `reset` event.
 */
export function stream(
  path: string,
  types: readonly string[],
  onEvent: (event: ServerEvent) => void,
  { onOpen, onLost }: { onOpen?: () => void; onLost?: () => void } = {},
): Stream {
  let source: EventSource;
  let again: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => onOpen?.();
    source.onerror = () => {
      onLost?.();
      // A refusal ends an EventSource for good; a restart of the server answers 503 for a moment.
      if (source.readyState === EventSource.CLOSED && !closed) again = setTimeout(open, 2_000 + Math.random() * 2_000);
    };
    for (const type of types) {
      source.addEventListener(type, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>;
        let parsed: unknown;
        try {
          parsed = JSON.parse(data);
        } catch {
          return;
        }
        onEvent({ type, data: parsed, id: lastEventId });
      });
    }
  };
  open();
  return {
    close() {
      closed = true;
      clearTimeout(again);
      source.close();
    },
  };
}
