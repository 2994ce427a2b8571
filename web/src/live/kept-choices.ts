// What somebody has chosen for this device, kept in this browser: loudspeaker, volume, microphone and what is done to its
// sound. Where nothing can be kept (private browsing), it holds for as long as the page.

const KEY = "spaces.sound.";

type Choice = "microphone" | "output" | "processing" | "volume";

/** What was kept, or `otherwise`: also if what is there is not of its kind. */
export function kept<T>(choice: Choice, otherwise: T): T {
  try {
    const text = localStorage.getItem(KEY + choice);
    const found = text === null ? otherwise : JSON.parse(text);
    if (typeof otherwise === "object" && otherwise !== null) return { ...otherwise, ...found };
    return otherwise === null || typeof found === typeof otherwise ? found : otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(choice: Choice, value: unknown): void {
  try {
    localStorage.setItem(KEY + choice, JSON.stringify(value));
  } catch {
    // no room, or none allowed: it holds until the page is left
  }
}
