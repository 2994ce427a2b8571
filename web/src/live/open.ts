// The live sound of one Space: puts together the engine's worker, the loudspeaker, the microphone and what the device shows.
//
//   worker ──bundles──▶ player worklet ──▶ volume ──▶ output          phase, levels, quality ──▶ signals
//   worker ◀──frames── capture worklet ◀── microphone

import { computed, signal } from "@preact/signals";
import { ApiError, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { CaptionLines } from "./caption-lines";
import type { Admission, Protocol } from "./connection";
import type { FromEngine, ToEngine } from "./engine-messages";
import type { CaptionLine, Microphone, OpenLiveAudio, Path, Phase, Quality } from "./live-audio";
import { Loudspeaker, preload } from "./loudspeaker";
import { MicrophoneInput } from "./microphone-input";
import { LOUDEST, PersonVolumes } from "./person-volumes";
import type { PlayerReport } from "./player-worklet";
import { mediaControls, ScreenLock } from "./presence";
import { QualityWindow } from "./quality";
import { SILENT } from "./receiver";
import { Tap } from "./tap";
import { microphoneTrouble } from "./trouble";

/** A gesture is asked for if the browser has not let us play after so long, in ms. */
const BLOCKED_AFTER = 400;
/** Somebody who talked when we joined is heard within this, in ms; what comes later is no measure of the join. */
const JOINING = 2_000;
/** Goodbyes are sent before the worker is ended, in ms. */
const GOODBYE = 500;
/** The microphone's level is told so often, in frames of 20 ms. */
const METER = 4;

const SILENCE: ReadonlyMap<string, number> = new Map();

export const openLiveAudio: OpenLiveAudio = ({ space, seating, admit, title }) => {
  const query = new URLSearchParams(location.search);
  const tapped = query.get("tap");
  const tap = tapped === null ? null : new Tap();
  const protocol: Protocol = query.get("protocol") === "moqt-18" ? "moqt-18" : "moq-lite-05";

  const connection = signal<Phase>("idle");
  const blocked = signal(false);
  const path = signal<Path | null>(null);
  const refusal = signal<{ code: string; text: string } | null>(null);
  const levels = signal<ReadonlyMap<string, number>>(SILENCE);
  const quality = signal<Quality | null>(null);
  const outputs = signal<readonly MediaDeviceInfo[]>([]);
  const joinedInMs = signal<number | null>(null);
  const lines = signal<readonly CaptionLine[]>([]);
  const microphone = signal<Microphone>({
    state: "off",
    trouble: null,
    level: 127,
    muted: false,
    talkingWhileMuted: false,
    devices: [],
    device: null,
    processing: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
  const setMicrophone = (change: Partial<Microphone>) => {
    microphone.value = { ...microphone.value, ...change };
  };

  const window10s = new QualityWindow();
  const captionLines = new CaptionLines();
  const screenLock = new ScreenLock();
  let worker: Worker | null = null;
  let speaker: Loudspeaker | null = null;
  let input: MicrophoneInput | null = null;
  let admission: Schema<"AdmissionView"> | null = null;
  let controls: ReturnType<typeof mediaControls> | null = null;
  let onAir = false;
  let volume = 1;
  let hushed = false;
  let began = 0;
  let joining = false;
  let captionsOn = false;
  let frames = 0;
  let reports = 0;
  let last: PlayerReport | null = null;

  const volumes = new PersonVolumes(seating, localStorage, (seat, gain) => speaker?.gain(seat, gain));
  const tell = (message: ToEngine, transfer: Transferable[] = []) => worker?.postMessage(message, transfer);
  preload();

  // --- from the engine and the player ---

  function fromEngine(message: FromEngine): void {
    if ("status" in message) {
      const { status } = message;
      connection.value = status.phase;
      if (status.phase === "live") path.value = status.path;
      if (status.phase === "refused") {
        refusal.value = { code: status.code, text: status.text };
        shut();
      }
    } else if ("admit" in message) renew();
    else if ("firstBundle" in message) {
      joining = message.firstBundle - performance.timeOrigin - began < JOINING;
    } else if ("microphone" in message) {
      if (++frames % METER === 0 || message.microphone.talkingWhileMuted !== microphone.value.talkingWhileMuted) {
        setMicrophone(message.microphone);
      }
    } else if ("onAir" in message) onAir = message.onAir;
    else if ("voiceRefused" in message) {
      quiet();
      setMicrophone({ state: "refused", trouble: t("live.microphone.refused", { reason: message.voiceRefused }) });
    } else if ("caption" in message && captionsOn) {
      lines.value = captionLines.take(message.caption, performance.now());
    }
  }

  async function renew(): Promise<void> {
    try {
      admission = await admit();
      tell({ admitted: wireAdmission(admission) });
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "network.unreachable";
      tell({ notAdmitted: { code, text: error instanceof Error ? error.message : String(error) } });
    }
  }

  function fromPlayer(report: PlayerReport): void {
    const now = performance.now();
    last = report;
    if (report.heard && joinedInMs.value === null && joining) joinedInMs.value = now - began + (speaker?.outputMs ?? 0);
    volumes.follow();
    levels.value = heardNow(report.levels);
    // About once a second: the picture of a moment would only flicker.
    if (++reports % 12 !== 0) return;
    quality.value =
      connection.value === "live" ? window10s.add(now, report.stats, speaker?.outputMs ?? 0) : { ...NOTHING };
    if (captionsOn) lines.value = captionLines.current(now);
  }

  function heardNow(seats: Uint8Array): ReadonlyMap<string, number> {
    const heard = new Map<string, number>();
    seats.forEach((level, seat) => {
      const account = level === SILENT ? undefined : seating.accountAt(seat);
      if (account !== undefined) heard.set(account, level);
    });
    const { state, muted, level } = microphone.value;
    const own = admission?.seat;
    const self = own === null || own === undefined ? undefined : seating.accountAt(own);
    if (self !== undefined && onAir && state === "on" && !muted && level < 72) heard.set(self, level);
    return heard.size === 0 && levels.value.size === 0 ? levels.value : heard;
  }

  // --- joining and leaving ---

  async function listen(given: Schema<"AdmissionView">): Promise<void> {
    shut();
    began = performance.now();
    admission = given;
    connection.value = "connecting";
    refusal.value = null;
    joinedInMs.value = null;
    joining = false;
    blocked.value = false;
    const own = new Loudspeaker({
      tap: tap === null ? "" : tapped === "mix" ? "mix" : "seats",
      onReport: fromPlayer,
      onTap: (heard) => tap?.take(heard),
      onState: (state) => {
        if (state === "running") blocked.value = false;
        else if (document.visibilityState === "visible") checkBlocked();
      },
    });
    speaker = own;
    own.volume = hushed ? 0 : volume;
    checkBlocked();
    worker = new Worker(new URL("./engine-worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => fromEngine(data);
    const { port1, port2 } = new MessageChannel();
    const start = { space, origin: location.origin, protocol, admission: wireAdmission(given) };
    tell({ start, packets: port1 }, [port1]);
    if (captionsOn) tell({ captions: true });
    watchDevice();
    controls = mediaControls({
      title: title?.() ?? document.title,
      artist: t("live.media.artist"),
      onMute: (muted) => (microphone.value.state === "on" ? mute(muted) : hush(muted)),
      onLeave: () => shut(),
    });
    controls.show(false);
    listDevices();
    await own.start(port2);
  }

  function checkBlocked(): void {
    const own = speaker;
    setTimeout(() => {
      if (own && own === speaker) blocked.value = !own.playing;
    }, BLOCKED_AFTER);
  }

  async function resume(): Promise<void> {
    await speaker?.resume();
    blocked.value = !(speaker?.playing ?? true);
  }

  async function readmit(given: Schema<"AdmissionView">): Promise<void> {
    admission = given;
    tell({ readmit: wireAdmission(given) });
  }

  /** Everything is let go of; the phase stays what it is. */
  function shut(): void {
    quiet();
    const old = worker;
    old?.postMessage({ stop: true } satisfies ToEngine);
    if (old) setTimeout(() => old.terminate(), GOODBYE);
    worker = null;
    speaker?.close();
    speaker = null;
    controls?.end();
    controls = null;
    unwatchDevice();
    window10s.clear();
    captionLines.clear();
    last = null;
    path.value = null;
    levels.value = SILENCE;
    quality.value = null;
    lines.value = [];
    if (connection.value !== "refused") connection.value = "idle";
  }

  // --- speaking ---

  async function speak(muted: boolean): Promise<void> {
    if (!speaker || microphone.value.state === "asking") return;
    if (microphone.value.state === "on") return mute(muted);
    const own = new MicrophoneInput(speaker.context, microphone.value.processing, usedDevice, lostMicrophone);
    setMicrophone({ state: "asking", trouble: null, muted });
    const { port1, port2 } = new MessageChannel();
    try {
      if (typeof AudioEncoder !== "function") throw new DOMException("", "encoder");
      await own.open(microphone.value.device, port2);
    } catch (error) {
      own.close();
      setMicrophone({ state: "refused", trouble: microphoneTrouble(error) });
      return;
    }
    if (!worker) return own.close(); // left meanwhile
    input = own;
    tell({ speak: { muted: microphone.value.muted }, capture: port1 }, [port1]);
    setMicrophone({ state: "on", device: own.device });
    screenLock.hold(true);
    controls?.show(muted);
    await listDevices(); // names are told only now
  }

  function usedDevice(): void {
    if (input) setMicrophone({ device: input.device });
  }
  function lostMicrophone(error: unknown): void {
    quiet();
    setMicrophone({ state: "refused", trouble: microphoneTrouble(error) });
  }

  function mute(muted: boolean): void {
    tell({ mute: muted });
    setMicrophone({ muted, ...(muted ? {} : { talkingWhileMuted: false }) });
    controls?.show(muted);
  }

  function hush(on: boolean): void {
    hushed = on;
    if (speaker) speaker.volume = on ? 0 : volume;
    controls?.show(on);
  }

  function quiet(): void {
    if (input) tell({ quiet: true });
    input?.close();
    input = null;
    onAir = false;
    screenLock.hold(false);
    setMicrophone({ state: "off", trouble: null, level: 127, talkingWhileMuted: false });
  }

  async function chooseMicrophone(device: string): Promise<void> {
    setMicrophone({ device });
    try {
      await input?.choose(device);
    } catch (error) {
      lostMicrophone(error);
    }
  }

  async function setProcessing(change: Partial<Microphone["processing"]>): Promise<void> {
    const processing = { ...microphone.value.processing, ...change };
    setMicrophone({ processing });
    try {
      await input?.process(processing);
    } catch (error) {
      lostMicrophone(error);
    }
  }

  // --- what happens around us ---

  const network = () => tell({ network: true });
  const seen = () => {
    if (document.visibilityState !== "visible") return;
    screenLock.seen();
    if (speaker && !speaker.playing) speaker.resume().catch(() => {});
  };
  const left = () => worker?.postMessage({ stop: true } satisfies ToEngine);
  const route = (navigator as Navigator & { connection?: EventTarget }).connection;

  function watchDevice(): void {
    addEventListener("online", network);
    addEventListener("pagehide", left);
    document.addEventListener("visibilitychange", seen);
    navigator.mediaDevices?.addEventListener("devicechange", listDevices);
    route?.addEventListener("change", network);
  }
  function unwatchDevice(): void {
    removeEventListener("online", network);
    removeEventListener("pagehide", left);
    document.removeEventListener("visibilitychange", seen);
    navigator.mediaDevices?.removeEventListener("devicechange", listDevices);
    route?.removeEventListener("change", network);
  }

  async function listDevices(): Promise<void> {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    setMicrophone({ devices: devices.filter(({ kind }) => kind === "audioinput") });
    outputs.value = Loudspeaker.choosesOutput ? devices.filter(({ kind }) => kind === "audiooutput") : [];
    if (chosenOutput && !outputs.value.some(({ deviceId }) => deviceId === chosenOutput)) {
      chosenOutput = "";
      await speaker?.setOutput("").catch(() => {});
    }
  }

  let chosenOutput = "";
  async function chooseOutput(device: string): Promise<void> {
    await speaker?.setOutput(device);
    chosenOutput = device;
  }

  function captions(on: boolean): void {
    captionsOn = on;
    tell({ captions: on });
    if (on) return;
    captionLines.clear();
    lines.value = [];
  }

  if (tap) {
    const hook = {
      tap: (seat: number | "mix" = "mix") => tap.read(seat),
      seats: () => tap.seats(),
      forget: () => tap.forget(),
      /** The player's last report, and what the signals say. */
      counts: () => ({
        ...last?.stats,
        traps: last?.traps,
        slowestMs: last?.slowestMs,
        pauseMs: last?.pauseMs,
        quality: quality.value,
        joinedInMs: joinedInMs.value,
        path: path.value,
        outputMs: speaker?.outputMs,
      }),
    };
    Object.assign(globalThis, { spaces: hook });
  }

  return {
    phase: computed(() => (blocked.value && connection.value === "live" ? "blocked" : connection.value)),
    path,
    refusal,
    levels,
    quality,
    microphone,
    outputs,
    joinedInMs,
    lines,
    listen,
    readmit,
    resume,
    speak,
    mute,
    quiet,
    chooseMicrophone,
    setProcessing,
    chooseOutput,
    setVolume(wished) {
      volume = Math.min(LOUDEST, Math.max(0, wished));
      if (speaker && !hushed) speaker.volume = volume;
    },
    setPersonVolume: (account, wished) => volumes.set(account, wished),
    personVolume: (account) => volumes.of(account),
    captions,
    close: () => {
      connection.value = "idle";
      shut();
    },
  };
};

const NOTHING: Quality = { bars: 0, concealed: 0, lost: 0, bufferMs: 0, targetMs: 0, delayMs: 0 };

function wireAdmission(given: Schema<"AdmissionView">): Admission {
  return {
    urls: given.urls,
    token: given.token,
    certificate: given.certificate_sha256,
    expires: Date.parse(given.expires),
    seat: given.seat,
  };
}
