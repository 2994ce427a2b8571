import { useEffect, useRef } from "preact/hooks";

/** Calls `ask` every `everyMs` while the page is looked at, and when it is looked at again after longer than that. */
export function usePolling(ask: () => unknown, everyMs: number): void {
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    let last = Date.now();
    const tick = () => {
      if (document.visibilityState !== "visible" || Date.now() - last < everyMs) return;
      last = Date.now();
      latest.current();
    };
    // A little apart from each other, so that all pages that a restart interrupted do not come back as one.
    const timer = setInterval(tick, everyMs + Math.random() * everyMs * 0.2);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [everyMs]);
}
