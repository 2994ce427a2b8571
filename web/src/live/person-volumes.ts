// How loud each person is for us, kept in this browser, and which gain each seat therefore has.

import { SEATS } from "./bundle";
import type { Seating } from "./live-audio";

const KEY = "spaces.volume.";
/** The most that one voice is raised. */
export const LOUDEST = 1.5;

export class PersonVolumes {
  #gains = new Array<number>(SEATS).fill(1);

  constructor(
    readonly seating: Seating,
    readonly store: Pick<Storage, "getItem" | "setItem" | "removeItem">,
    readonly apply: (seat: number, gain: number) => void,
  ) {}

  of(account: string): number {
    const kept = Number(this.store.getItem(KEY + account) ?? 1);
    return Number.isFinite(kept) ? Math.min(LOUDEST, Math.max(0, kept)) : 1;
  }

  set(account: string, volume: number): void {
    const bounded = Math.min(LOUDEST, Math.max(0, volume));
    try {
      if (bounded === 1) this.store.removeItem(KEY + account);
      else this.store.setItem(KEY + account, String(bounded));
    } catch {
      // private browsing: it holds for nobody, but the sound goes on
    }
    this.follow();
  }

  /** What applies the gains has begun anew, and knows of none. */
  anew(): void {
    this.#gains.fill(1);
    this.follow();
  }

  /** Sets the seats' gains anew where somebody else sits now. */
  follow(): void {
    for (let seat = 0; seat < SEATS; seat++) {
      const account = this.seating.accountAt(seat);
      const gain = account === undefined ? 1 : this.of(account);
      if (gain === this.#gains[seat]) continue;
      this.#gains[seat] = gain;
      this.apply(seat, gain);
    }
  }
}
