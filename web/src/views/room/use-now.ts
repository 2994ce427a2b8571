import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { serverNow } from "@/state/server-clock";

/** The server's time in ms since 1970, anew every `everyMs`. */
export function useNow(everyMs = 1_000): Signal<number> {
  const now = useSignal(serverNow());
  useEffect(() => {
    const timer = setInterval(() => {
      now.value = serverNow();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
