// What a person does with their microphone, as a signal and verbs: off → asking → on, or refused with what to do.

import { type ReadonlySignal, signal } from "@preact/signals";
import { t } from "@/i18n";
import type { ToEngine } from "./engine-messages";
import { keep, kept } from "./kept-choices";
import type { Microphone } from "./live-audio";
import { MicrophoneInput } from "./microphone-input";
import { microphoneTrouble } from "./trouble";
import type { MicrophoneReport } from "./voice-encoder";

/** The level is told so often, in frames of 20 ms. */
const METER = 4;
/** In −dBov: what is softer is not shown as talking. */
const FAINTEST = 72;

const OFF: Partial<Microphone> = {
  state: "off",
  trouble: null,
  level: 127,
  talkingWhileMuted: false,
  replacedBy: null,
};

export interface MicrophoneHost {
  /** To the engine's worker, which sends what the microphone gives. */
  tell: (message: ToEngine, transfer?: Transferable[]) => void;
  /** Where the sound is worked on; null while nothing is joined. */
  context: () => AudioContext | null;
  /** It is open, or no more. */
  onOpen: (open: boolean) => void;
  onMuted: (muted: boolean) => void;
}

export class MicrophoneControl {
  #host: MicrophoneHost;
  #input: MicrophoneInput | null = null;
  #onAir = false;
  #frames = 0;
  #state = signal<Microphone>({
    state: "off",
    trouble: null,
    level: 127,
    muted: false,
    talkingWhileMuted: false,
    devices: [],
    device: kept<string | null>("microphone", null),
    replacedBy: null,
    processing: kept("processing", { echoCancellation: true, noiseSuppression: true, autoGainControl: true }),
  });

  constructor(host: MicrophoneHost) {
    this.#host = host;
  }

  get signal(): ReadonlySignal<Microphone> {
    return this.#state;
  }
  get open(): boolean {
    return this.#state.value.state === "on";
  }
  /** Our own level if others hear us now, else null. */
  get heard(): number | null {
    const { state, muted, level } = this.#state.value;
    return this.#onAir && state === "on" && !muted && level < FAINTEST ? level : null;
  }

  /** From the engine: whether the server takes our voice. */
  set onAir(onAir: boolean) {
    this.#onAir = onAir;
  }
  report(report: MicrophoneReport): void {
    const told = this.#state.value.talkingWhileMuted;
    if (++this.#frames % METER === 0 || report.talkingWhileMuted !== told) this.#set(report);
  }
  refused(reason: string): void {
    this.quiet();
    this.#set({ state: "refused", trouble: t("live.microphone.refused", { reason }) });
  }
  set devices(devices: readonly MediaDeviceInfo[]) {
    this.#set({ devices });
  }

  async speak(muted: boolean): Promise<void> {
    const { state, processing, device } = this.#state.value;
    const context = this.#host.context();
    if (!context || state === "asking") return;
    if (state === "on") return this.mute(muted);
    const own = new MicrophoneInput(context, processing, {
      onLost: (error) => this.#lost(error),
      onReplaced: (replacedBy) => this.#set({ device: own.device, replacedBy }),
    });
    this.#set({ state: "asking", trouble: null, muted, replacedBy: null });
    const { port1, port2 } = new MessageChannel();
    try {
      if (typeof AudioEncoder !== "function") throw new DOMException("", "encoder");
      await this.#opened(own, device, port2);
    } catch (error) {
      own.close();
      this.#set({ state: "refused", trouble: microphoneTrouble(error) });
      return;
    }
    if (this.#host.context() !== context) return own.close(); // left meanwhile
    this.#input = own;
    this.#host.tell({ speak: { muted: this.#state.value.muted }, capture: port1 }, [port1]);
    this.#set({ state: "on", device: own.device });
    this.#host.onOpen(true);
    this.#host.onMuted(this.#state.value.muted);
  }

  mute(muted: boolean): void {
    this.#host.tell({ mute: muted });
    this.#set({ muted, ...(muted ? {} : { talkingWhileMuted: false }) });
    this.#host.onMuted(muted);
  }

  quiet(): void {
    if (this.#input) this.#host.tell({ quiet: true });
    this.#input?.close();
    this.#input = null;
    this.#onAir = false;
    this.#set(OFF);
    this.#host.onOpen(false);
  }

  /** Throws what a person can read if it cannot be had; the one that is open goes on then. */
  async choose(device: string): Promise<void> {
    const before = this.#state.value.device;
    this.#set({ device, replacedBy: null });
    try {
      await this.#input?.choose(device);
    } catch (error) {
      this.#set({ device: before });
      throw new Error(microphoneTrouble(error), { cause: error });
    }
    keep("microphone", device);
  }

  async process(change: Partial<Microphone["processing"]>): Promise<void> {
    const processing = { ...this.#state.value.processing, ...change };
    this.#set({ processing });
    keep("processing", processing);
    await this.#input?.process(processing).catch((error) => this.#lost(error));
  }

  /** The wished device may have been unplugged since: then the system's own choice does. */
  async #opened(input: MicrophoneInput, device: string | null, port: MessagePort): Promise<void> {
    try {
      await input.open(device, port);
    } catch (error) {
      if (device === null || (error as DOMException)?.name !== "OverconstrainedError") throw error;
      await input.open(null, port);
    }
  }

  #lost(error: unknown): void {
    this.quiet();
    this.#set({ state: "refused", trouble: microphoneTrouble(error), device: null });
  }

  #set(change: Partial<Microphone>): void {
    this.#state.value = { ...this.#state.value, ...change };
  }
}
