// What a view sees of the live sound of one Space. Made by `openLiveAudio` (open.ts); everything is a signal, so views
// show it without asking. No view touches sockets, workers or audio nodes.

import type { ReadonlySignal } from "@preact/signals";
import type { Schema } from "@/api/client";
import type { Tier } from "./tiers";

/** How the sound comes. */
export type Path = "webtransport" | "websocket" | "hls";

export type { Tier } from "./tiers";

export type Phase =
  /** Not asked for yet, or left. */
  | "idle"
  /** On the way to the first sound. */
  | "connecting"
  /** Sound comes (or nobody talks). */
  | "live"
  /** The connection broke or the network changed: it comes back by itself. */
  | "reconnecting"
  /** The browser wants a gesture before it plays: call `resume` from a click. */
  | "blocked"
  /** It is no use to try again: `refusal` says why. */
  | "refused";

/** How well it works, once a second. */
export interface Quality {
  /** 0 (nothing) to 4 (perfect). */
  bars: 0 | 1 | 2 | 3 | 4;
  /** Share of played sound that was invented because packets were missing, over the last 10 s: 0 to 1. */
  concealed: number;
  /** Share of packets that never came or came too late, over the last 10 s: 0 to 1. */
  lost: number;
  /** What the jitter buffer holds and aims for, and the time from the engine's tick to the ear that is known, in ms. */
  bufferMs: number;
  targetMs: number;
  delayMs: number;
}

export interface Microphone {
  /** `asking`: the browser asks the person. `refused`: `trouble` says what to do. */
  state: "off" | "asking" | "on" | "refused";
  trouble: string | null;
  /** RFC 6464: 0 (loudest) to 127 (silent), also while muted, so that a meter can be shown. */
  level: number;
  muted: boolean;
  /** The person talks while muted: say so. */
  talkingWhileMuted: boolean;
  devices: readonly MediaDeviceInfo[];
  device: string | null;
  /** The device that was unplugged has been replaced by the one of this name; null otherwise. */
  replacedBy: string | null;
  processing: { echoCancellation: boolean; noiseSuppression: boolean; autoGainControl: boolean };
}

/** One line of what is said, as text. */
export interface CaptionLine {
  line: string;
  account: string;
  text: string;
  final: boolean;
}

export interface LiveAudio {
  readonly phase: ReadonlySignal<Phase>;
  readonly path: ReadonlySignal<Path | null>;
  /** Somebody paused it by a media key or a headset that was taken off; `resume` ends it. */
  readonly paused: ReadonlySignal<boolean>;
  /** The code of a refusal (`join.removed`, `auth.expired`, …) and the server's words; null otherwise. */
  readonly refusal: ReadonlySignal<{ code: string; text: string } | null>;
  /** Who is heard now: account id to RFC 6464 level (0 loudest, 127 silent). Follows what is played, not what comes. */
  readonly levels: ReadonlySignal<ReadonlyMap<string, number>>;
  readonly quality: ReadonlySignal<Quality | null>;
  readonly microphone: ReadonlySignal<Microphone>;
  /** What is heard: each voice by itself, or all in one mix. */
  readonly tier: ReadonlySignal<Tier>;
  /** Whether the person wants to save data; the mix is then heard wherever there is one. Kept in this browser. */
  readonly saveData: ReadonlySignal<boolean>;
  readonly outputs: ReadonlySignal<readonly MediaDeviceInfo[]>;
  /** What it plays on; "" is the system's own choice. Kept in this browser, like `volume`. */
  readonly output: ReadonlySignal<string>;
  /** 0 to 1.5, of all. */
  readonly volume: ReadonlySignal<number>;
  /** From `listen` to the first sound that was played, in ms. */
  readonly joinedInMs: ReadonlySignal<number | null>;
  /** What came as live text, newest last, at most 50 lines; empty unless `captions(true)`. */
  readonly lines: ReadonlySignal<readonly CaptionLine[]>;

  /** Joins with what `POST /join` answered and plays. In a click's turn, or the browser may not let it play. */
  listen(admission: Schema<"AdmissionView">): Promise<void>;
  /** A new admission for the same Space: our role or seat changed. Sound goes on without a gap. */
  readmit(admission: Schema<"AdmissionView">): Promise<void>;
  /** In a click's turn, while `phase` is `blocked` or `paused` is true. */
  resume(): Promise<void>;
  /** Opens the microphone (asks the person) and publishes on our seat; `muted` sends nothing. */
  speak(muted: boolean): Promise<void>;
  mute(muted: boolean): void;
  /** Closes the microphone. */
  quiet(): void;
  chooseMicrophone(device: string): Promise<void>;
  setProcessing(change: Partial<Microphone["processing"]>): Promise<void>;
  chooseOutput(device: string): Promise<void>;
  /** 0 to 1.5, of all and of one person; kept in this browser. */
  setVolume(volume: number): void;
  setPersonVolume(account: string, volume: number): void;
  personVolume(account: string): number;
  setSaveData(on: boolean): void;
  captions(on: boolean): void;
  /** Leaves for good: nothing plays, the microphone is off. */
  close(): void;
}

/** Who sits where: audio knows seats, people know accounts. The room keeps it up to date from the Space's state. */
export interface Seating {
  accountAt(seat: number): string | undefined;
}

export interface LiveAudioOptions {
  space: string;
  seating: Seating;
  /** A fresh admission, when the old one expired (reconnecting after hours). */
  admit: () => Promise<Schema<"AdmissionView">>;
  /** The Space's title, for the lock screen and media keys; the page's own without it. */
  title?: () => string;
  /** The person wants their open microphone muted or heard, by a key of the device or the lock screen. */
  onMicrophoneKey?: (muted: boolean) => void;
}

export type OpenLiveAudio = (options: LiveAudioOptions) => LiveAudio;
