// Which track is heard: the stage (each voice by itself) or the mix (all in one stream: less data, some 80 ms later). The
// Space says so on its `state` track, who saves data hears the mix wherever there is one. Both tracks are subscribed to
// until the player says that it plays the wanted one.

export type Tier = "stage" | "mix";
export const TIERS: readonly Tier[] = ["stage", "mix"];

/** What a Space says: `stage-only` to those on stage, who would hear themselves in the mix, and where there is none. */
export type Advice = "stage-only" | "stage" | "mix";

/** What an object of the `state` track advises; null if it is about something else. */
export function adviceIn(payload: Uint8Array): Advice | null {
  try {
    const { tier } = JSON.parse(new TextDecoder().decode(payload)) as { tier?: unknown };
    return tier === "stage-only" || tier === "stage" || tier === "mix" ? tier : null;
  } catch {
    return null;
  }
}

export class TierChoice {
  #advice: Advice = "stage";
  #refused = false;
  #savesData = false;
  /** We have a seat, which we may know before the Space says so. */
  seated = false;
  /** What the player plays. */
  playing: Tier = "stage";

  set advice(advice: Advice) {
    if (advice !== this.#advice) this.#refused = false;
    this.#advice = advice;
  }
  set savesData(on: boolean) {
    if (on !== this.#savesData) this.#refused = false;
    this.#savesData = on;
  }
  /** The mix is not to be had. */
  refuse(): void {
    this.#refused = true;
  }
  /** Another session: what one refused the next may give. */
  begin(): void {
    this.#refused = false;
  }

  get wanted(): Tier {
    if (this.seated || this.#refused || this.#advice === "stage-only") return "stage";
    return this.#savesData || this.#advice === "mix" ? "mix" : "stage";
  }
  /** The tracks that are to be subscribed to. */
  get needed(): ReadonlySet<Tier> {
    return new Set([this.wanted, this.playing]);
  }
}
