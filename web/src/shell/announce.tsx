// What people who do not see the page are told when another view is shown: its title, and the focus is in it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** To be called when the address has changed. `before` is the address that was left. */
export function enterView(before: string, now: string): void {
  if (pathOf(before) === pathOf(now)) return;
  requestAnimationFrame(() => {
    const main = document.getElementById("content");
    // A view that put the focus somewhere itself, or kept it, knows better.
    if (main && !main.contains(document.activeElement) && !document.querySelector("dialog[open]"))
      main.focus({ preventScroll: true });
  });
}

const pathOf = (url: string) => url.split(/[?#]/)[0];

/** Reads out the page's title whenever it changes. Once in the page. */
export function TitleSpoken() {
  const said = useSignal("");
  useEffect(() => {
    const title = document.querySelector("title");
    if (!title) return;
    const first = document.title;
    const watch = new MutationObserver(() => {
      if (said.peek() !== "" || document.title !== first) said.value = document.title;
    });
    watch.observe(title, { childList: true, characterData: true, subtree: true });
    return () => watch.disconnect();
  }, []);
  return (
    <p class="visually-hidden" role="status" aria-live="polite">
      {said.value}
    </p>
  );
}
