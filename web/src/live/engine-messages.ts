// What the page (open.ts) and its engine's worker say to each other.

import type { Admission, ConnectionStatus, Protocol } from "./connection";
import type { MicrophoneReport } from "./voice-encoder";

export type ToEngine =
  | { start: { space: string; origin: string; protocol: Protocol; admission: Admission }; packets: MessagePort }
  | { readmit: Admission }
  | { admitted: Admission }
  | { notAdmitted: { code: string; text: string } }
  /** The network changed, or may have. */
  | { network: true }
  | { captions: boolean }
  | { saveData: boolean }
  /** Publishes what comes by the port, once there is a seat. */
  | { speak: { muted: boolean }; capture: MessagePort }
  | { mute: boolean }
  | { quiet: true }
  | { stop: true };

export type FromEngine =
  | { status: ConnectionStatus }
  /** A fresh admission is wanted: `admitted` or `notAdmitted` answers. */
  | { admit: true }
  /** The first sound has come, so long after the stage was there, in ms: at once if somebody talked when we joined. */
  | { firstBundle: number }
  | { microphone: MicrophoneReport }
  /** Whether the server takes our voice. */
  | { onAir: boolean }
  | { voiceRefused: string }
  | { caption: unknown };
