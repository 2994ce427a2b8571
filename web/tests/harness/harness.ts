// The live sound without a page around it, for tests and measurements of the sound alone: `tests/support/live_harness.py`
// builds and serves it. Not shipped.

import { effect } from "@preact/signals";
import type { Schema } from "@/api/client";
import { useLanguage } from "@/i18n";
import type { LiveAudio, Phase } from "@/live/live-audio";
import { openLiveAudio } from "@/live/open";

void useLanguage("en");

type Admission = Schema<"AdmissionView">;

let audio: LiveAudio | null = null;
let seats: Record<number, string> = {};
let fresh: Admission | null = null;
const phases: Phase[] = [];

const harness = {
  /** Makes the audio of a Space; `listen` is then a matter of a click. */
  open(space: string, accounts: Record<number, string>) {
    audio?.close();
    phases.length = 0;
    seats = accounts;
    const made = openLiveAudio({
      space,
      seating: { accountAt: (seat) => seats[seat] },
      admit: async () => {
        if (!fresh) throw new Error("nothing to admit with");
        return fresh;
      },
      title: () => "Harness",
    });
    audio = made;
    effect(() => {
      phases.push(made.phase.value);
    });
  },
  listen(admission: Admission) {
    fresh = admission;
    return audio?.listen(admission);
  },
  readmit(admission: Admission) {
    fresh = admission;
    return audio?.readmit(admission);
  },
  seat(accounts: Record<number, string>) {
    seats = accounts;
  },
  phases: () => phases,
  look: () =>
    audio && {
      phase: audio.phase.value,
      path: audio.path.value,
      refusal: audio.refusal.value,
      levels: Object.fromEntries(audio.levels.value),
      quality: audio.quality.value,
      tier: audio.tier.value,
      saveData: audio.saveData.value,
      microphone: { ...audio.microphone.value, devices: audio.microphone.value.devices.map(({ label }) => label) },
      outputs: audio.outputs.value.length,
      joinedInMs: audio.joinedInMs.value,
      lines: audio.lines.value,
    },
  get audio() {
    return audio;
  },
};

export type Harness = typeof harness;
Object.assign(globalThis, { harness });

// A test that may not touch the page, as that would be a gesture, says beforehand what shall happen.
const { begin } = globalThis as { begin?: { space: string; accounts: Record<number, string>; given: Admission } };
if (begin) {
  harness.open(begin.space, begin.accounts);
  harness.listen(begin.given);
}
