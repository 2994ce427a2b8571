// Live sound without sound: what a view sees of it is set by the test.
import { type Signal, signal } from "@preact/signals";
import type {
  CaptionLine,
  LiveAudio,
  LiveAudioOptions,
  Microphone,
  Path,
  Phase,
  Quality,
  Tier,
} from "@/live/live-audio";

type Mutable<T> = { [K in keyof T]: T[K] extends { readonly value: infer V } ? Signal<V> : T[K] };

export interface FakeAudio extends Mutable<LiveAudio> {
  /** What was asked of it, in order. */
  asked: string[];
  options: LiveAudioOptions;
}

export function fakeAudio(options: LiveAudioOptions): FakeAudio {
  const asked: string[] = [];
  const microphone = signal<Microphone>({
    state: "off",
    trouble: null,
    level: 127,
    muted: true,
    talkingWhileMuted: false,
    devices: [],
    device: null,
    replacedBy: null,
    processing: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
  const phase = signal<Phase>("idle");
  const change = (to: Partial<Microphone>) => {
    microphone.value = { ...microphone.value, ...to };
  };
  return {
    asked,
    options,
    phase,
    path: signal<Path | null>(null),
    refusal: signal<{ code: string; text: string } | null>(null),
    levels: signal<ReadonlyMap<string, number>>(new Map()),
    quality: signal<Quality | null>(null),
    microphone,
    tier: signal<Tier>("stage"),
    saveData: signal(false),
    outputs: signal<readonly MediaDeviceInfo[]>([]),
    output: signal(""),
    volume: signal(1),
    paused: signal(false),
    joinedInMs: signal<number | null>(null),
    lines: signal<readonly CaptionLine[]>([]),
    async listen() {
      asked.push("listen");
      phase.value = "live";
    },
    async readmit(admission) {
      asked.push(`readmit ${admission.role} ${admission.seat}`);
    },
    async resume() {
      asked.push("resume");
      phase.value = "live";
    },
    async speak(muted) {
      asked.push(`speak ${muted}`);
      change({ state: "on", muted });
    },
    mute(muted) {
      if (microphone.peek().muted !== muted) asked.push(`mute ${muted}`);
      change({ muted });
    },
    quiet() {
      asked.push("quiet");
      change({ state: "off", muted: true });
    },
    async chooseMicrophone(device) {
      change({ device });
    },
    async setProcessing(processing) {
      change({ processing: { ...microphone.peek().processing, ...processing } });
    },
    async chooseOutput() {},
    setVolume() {},
    setPersonVolume() {},
    personVolume: () => 1,
    setSaveData(on) {
      asked.push(`saveData ${on}`);
    },
    captions(on) {
      asked.push(`captions ${on}`);
    },
    close() {
      asked.push("close");
      phase.value = "idle";
    },
  };
}
