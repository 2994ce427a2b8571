// The live sound of one Space: puts together the engine's worker, the loudspeaker, the microphone and what the device shows.
//
//   worker ──bundles──▶ player worklet ──▶ volume ──▶ output          phase, levels, quality ──▶ signals
//   worker ◀──frames── capture worklet ◀── microphone

import { computed, signal } from "@preact/signals";
import { ApiError, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { CaptionLines } from "./caption-lines";
import type { Admission, Protocol } from "./connection";
import { DataSaver, type Device } from "./data-saver";
import type { FromEngine, ToEngine } from "./engine-messages";
import { keep, kept } from "./kept-choices";
import type { CaptionLine, OpenLiveAudio, Path, Phase, Quality } from "./live-audio";
import { LiveHls } from "./live-hls";
import { Loudspeaker, preload } from "./loudspeaker";
import { MicrophoneControl } from "./microphone-control";
import { LOUDEST, PersonVolumes } from "./person-volumes";
import type { PlayerReport } from "./player-worklet";
import { mediaControls, ScreenLock } from "./presence";
import { QualityWindow } from "./quality";
import { SILENT } from "./receiver";
import { Tap } from "./tap";
import type { Tier } from "./tiers";

/** A gesture is asked for if the browser has not let us play after so long, in ms. */
const BLOCKED_AFTER = 400;
/** Sound that comes within this after the stage was there, in ms, was there before us: its way to the ear is the join. */
const JOINING = 300;
/** Goodbyes are sent before the worker is ended, in ms. */
const GOODBYE = 500;

const SILENCE: ReadonlyMap<string, number> = new Map();

export const openLiveAudio: OpenLiveAudio = ({ space, seating, admit, title, onMicrophoneKey }) => {
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
  const tier = signal<Tier>("stage");
  const paused = signal(false);
  const outputs = signal<readonly MediaDeviceInfo[]>([]);
  const output = signal(kept("output", ""));
  const volume = signal(bounded(kept("volume", 1)));
  const joinedInMs = signal<number | null>(null);
  const lines = signal<readonly CaptionLine[]>([]);
  const window10s = new QualityWindow();
  const captionLines = new CaptionLines();
  const screenLock = new ScreenLock();
  let worker: Worker | null = null;
  let speaker: Loudspeaker | null = null;
  let admission: Schema<"AdmissionView"> | null = null;
  let controls: ReturnType<typeof mediaControls> | null = null;
  let began = 0;
  let joining = false;
  let captionsOn = false;
  let reports = 0;
  let last: PlayerReport | null = null;

  const lastResort = new LiveHls({
    space,
    onPlaying: (playing) => {
      blocked.value = false;
      path.value = playing ? "hls" : null;
      connection.value = playing ? "live" : "reconnecting";
      if (playing) return;
      refusal.value = { code: "network.unreachable", text: "" };
      connection.value = "refused";
      shut();
    },
    onBlocked: () => {
      connection.value = "live";
      blocked.value = true;
    },
  });
  const volumes = new PersonVolumes(seating, localStorage, (seat, gain) => speaker?.gain(seat, gain));
  const tell = (message: ToEngine, transfer: Transferable[] = []) => worker?.postMessage(message, transfer);
  const saver = new DataSaver(localStorage, navigator as Device, (wanted) => tell({ saveData: wanted }));
  const saveData = signal(saver.chosen);
  const microphone = new MicrophoneControl({
    tell: (message, transfer) => tell(message, transfer),
    context: () => speaker?.context ?? null,
    onOpen: (open) => {
      screenLock.hold(open);
      if (open) listDevices(); // names are told only now
    },
    onMuted: showControls,
  });
  preload();

  // --- from the engine and the player ---

  function fromEngine(message: FromEngine): void {
    if ("status" in message) {
      const { status } = message;
      if (status.phase === "live") lastResort.stop();
      // Nobody of ours said no: nothing that this browser speaks comes through.
      else if (status.phase === "refused" && status.code === "" && !lastResort.running) return void lastResort.start();
      else if (status.phase !== "refused") lastResort.arm();
      if (lastResort.running && status.phase !== "refused") return;
      connection.value = status.phase;
      if (status.phase === "live") path.value = status.path;
      if (status.phase === "refused") {
        refusal.value = { code: status.code, text: status.text };
        shut();
      }
    } else if ("admit" in message) renew();
    else if ("firstBundle" in message) {
      joining = message.firstBundle < JOINING;
    } else if ("microphone" in message) microphone.report(message.microphone);
    else if ("onAir" in message) microphone.onAir = message.onAir;
    else if ("voiceRefused" in message) microphone.refused(message.voiceRefused);
    else if ("caption" in message && captionsOn) {
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
    tier.value = report.tier;
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
    const own = admission?.seat ?? null;
    const self = own === null ? undefined : seating.accountAt(own);
    if (self !== undefined && microphone.heard !== null) heard.set(self, microphone.heard);
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
    setLoudness();
    if (output.value) own.setOutput(output.value).catch(() => {}); // unplugged since: the system's own choice
    checkBlocked();
    worker = new Worker(new URL("./engine-worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => fromEngine(data);
    const { port1, port2 } = new MessageChannel();
    const start = { space, origin: location.origin, protocol, admission: wireAdmission(given) };
    tell({ start, packets: port1 }, [port1]);
    if (captionsOn) tell({ captions: true });
    tell({ saveData: saver.wanted });
    saver.watch();
    watchDevice();
    controls = mediaControls({
      title: title?.() ?? document.title,
      artist: t("live.media.artist"),
      onPause: (wanted) => (microphone.open ? microphoneKey(wanted) : pause(wanted)),
      onMicrophone: () => microphoneKey(!microphone.signal.peek().muted),
      onLeave: () => shut(),
    });
    showControls();
    listDevices();
    await own.start(port2);
    if (own === speaker) volumes.anew();
  }

  function checkBlocked(): void {
    const own = speaker;
    setTimeout(() => {
      if (own && own === speaker) blocked.value = !own.playing;
    }, BLOCKED_AFTER);
  }

  async function resume(): Promise<void> {
    pause(false);
    if (lastResort.running) return lastResort.resume();
    await speaker?.resume();
    blocked.value = !(speaker?.playing ?? true);
  }

  async function readmit(given: Schema<"AdmissionView">): Promise<void> {
    admission = given;
    tell({ readmit: wireAdmission(given) });
  }

  /** Everything is let go of; the phase stays what it is. */
  function shut(): void {
    microphone.quiet();
    lastResort.stop();
    const old = worker;
    old?.postMessage({ stop: true } satisfies ToEngine);
    if (old) setTimeout(() => old.terminate(), GOODBYE);
    worker = null;
    speaker?.close();
    speaker = null;
    controls?.end();
    controls = null;
    unwatchDevice();
    saver.end();
    tier.value = "stage";
    window10s.clear();
    captionLines.clear();
    paused.value = false;
    last = null;
    path.value = null;
    levels.value = SILENCE;
    quality.value = null;
    lines.value = [];
    if (connection.value !== "refused") connection.value = "idle";
  }

  function setLoudness(): void {
    const now = paused.value ? 0 : volume.value;
    if (speaker) speaker.volume = now;
    lastResort.volume = now;
  }

  function pause(on: boolean): void {
    paused.value = on;
    setLoudness();
    showControls();
  }

  function microphoneKey(muted: boolean): void {
    if (!microphone.open) return;
    if (onMicrophoneKey) onMicrophoneKey(muted);
    else microphone.mute(muted);
  }

  function showControls(): void {
    const { muted } = microphone.signal.peek();
    controls?.show(microphone.open ? muted : paused.value, microphone.open ? !muted : null);
  }

  // --- what happens around us ---

  const network = () => tell({ network: true });
  const seen = () => {
    if (document.visibilityState !== "visible") return;
    screenLock.seen();
    if (!speaker || speaker.playing) return;
    speaker.resume().catch(() => {});
    checkBlocked(); // after a call, for instance, some let a page play only in a click
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
    microphone.devices = devices.filter(({ kind }) => kind === "audioinput");
    outputs.value = Loudspeaker.choosesOutput ? devices.filter(({ kind }) => kind === "audiooutput") : [];
    // Unplugged: the system's own choice, until it is there again. Who was never asked for the microphone sees no devices.
    const known = outputs.value.filter(({ deviceId }) => deviceId !== "");
    if (!output.value || known.length === 0) return;
    const there = known.some(({ deviceId }) => deviceId === output.value);
    await speaker?.setOutput(there ? output.value : "").catch(() => {});
  }

  async function chooseOutput(device: string): Promise<void> {
    await speaker?.setOutput(device);
    output.value = device;
    keep("output", device);
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
        tier: tier.value,
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
    microphone: microphone.signal,
    tier,
    saveData,
    outputs,
    output,
    volume,
    paused,
    joinedInMs,
    lines,
    listen,
    readmit,
    resume,
    speak: (muted) => microphone.speak(muted),
    mute: (muted) => microphone.mute(muted),
    quiet: () => microphone.quiet(),
    chooseMicrophone: (device) => microphone.choose(device),
    setProcessing: (change) => microphone.process(change),
    chooseOutput,
    setVolume(wished) {
      volume.value = bounded(wished);
      keep("volume", volume.value);
      setLoudness();
    },
    setPersonVolume: (account, wished) => volumes.set(account, wished),
    personVolume: (account) => volumes.of(account),
    setSaveData(on) {
      saveData.value = on;
      saver.choose(on);
    },
    captions,
    close: () => {
      connection.value = "idle";
      shut();
    },
  };
};

const bounded = (volume: number) => Math.min(LOUDEST, Math.max(0, volume));

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
