// The picture of how well the sound comes, from the player's reports.

import type { Quality } from "./live-audio";
import type { ReceiverStats } from "./receiver";

/** Rates are those of the last so many ms. */
const WINDOW = 10_000;
const TICK = 960;

interface Sample {
  at: number;
  stats: ReceiverStats;
}

export class QualityWindow {
  #samples: Sample[] = [];

  /** `now` in ms; `outputMs` from the player to the ear. */
  add(now: number, stats: ReceiverStats, outputMs: number): Quality {
    this.#samples.push({ at: now, stats });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? now) <= now - WINDOW) this.#samples.shift();
    const first = this.#samples[0]?.stats ?? stats;
    const since = (name: keyof ReceiverStats) => Math.max(0, stats[name] - first[name]);
    const invented = since("concealedSamples");
    const played = since("decodedSamples") + since("fecSamples") + invented;
    const missing = (invented + since("fecSamples")) / TICK + since("redundantPackets");
    const concealed = share(invented, played);
    const delayMs = stats.delayMs + outputMs;
    return {
      bars: bars(concealed, delayMs),
      concealed,
      lost: Math.min(1, share(missing, played / TICK)),
      bufferMs: stats.delayMs,
      targetMs: stats.targetMs,
      delayMs,
    };
  }

  clear(): void {
    this.#samples = [];
  }
}

/** What people hear decides: holes first, then a delay that makes talking hard. */
export function bars(concealed: number, delayMs: number): 1 | 2 | 3 | 4 {
  if (concealed > 0.1 || delayMs > 600) return 1;
  if (concealed > 0.04 || delayMs > 400) return 2;
  if (concealed > 0.01 || delayMs > 250) return 3;
  return 4;
}

const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
