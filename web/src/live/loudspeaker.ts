// The sound's last steps on the page's side: audio context, the worklet that plays, volume, the chosen output. Knows nothing
// of network or people.

import type { FromPlayer, PlayerOptions, PlayerReport, ToPlayer } from "./player-worklet";
import playerUrl from "./player-worklet.ts?worker&url";
import receiverUrl from "./receiver.wasm?url";

export interface LoudspeakerOptions {
  tap: PlayerOptions["tap"];
  onReport: (report: PlayerReport) => void;
  onTap: (tap: Extract<FromPlayer, { tap: unknown }>["tap"]) => void;
  /** The browser lets us play, or does so no more. */
  onState: (state: AudioContext["state"]) => void;
}

type Sinkable = AudioContext & { setSinkId?: (id: string) => Promise<void>; outputLatency?: number };

/** Fetched once a page: 300 KB of code that every room needs. */
let receiver: Promise<WebAssembly.Module> | null = null;

function receiverModule(): Promise<WebAssembly.Module> {
  receiver ??= WebAssembly.compileStreaming(fetch(receiverUrl)).catch(async () => {
    // A server in between that does not know the type: compile from the bytes.
    const answer = await fetch(receiverUrl);
    if (!answer.ok) throw new Error(`the sound's decoder cannot be loaded (${answer.status})`);
    return WebAssembly.compile(await answer.arrayBuffer());
  });
  receiver.catch(() => {
    receiver = null;
  });
  return receiver;
}

/** Loads what playing needs, so that a join has it at hand. */
export function preload(): void {
  receiverModule().catch(() => {});
}

export class Loudspeaker {
  readonly context: Sinkable;
  #volume: GainNode;
  #player: AudioWorkletNode | null = null;
  #options: LoudspeakerOptions;

  /** In a click's own turn, or the browser will not let it play. */
  constructor(options: LoudspeakerOptions) {
    this.#options = options;
    this.context = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
    this.context.onstatechange = () => options.onState(this.context.state);
    this.#volume = new GainNode(this.context);
    this.#volume.connect(this.context.destination);
    this.context.resume().catch(() => {});
  }

  /** Loads and connects the player. Bundles come by `packets`. */
  async start(packets: MessagePort): Promise<void> {
    const [module] = await Promise.all([receiverModule(), this.context.audioWorklet.addModule(playerUrl)]);
    const processorOptions: PlayerOptions = { module, tap: this.#options.tap };
    const player = new AudioWorkletNode(this.context, "spaces-player", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions,
    });
    player.port.onmessage = ({ data }: MessageEvent<FromPlayer>) => {
      if ("report" in data) this.#options.onReport(data.report);
      else this.#options.onTap(data.tap);
    };
    player.port.postMessage({ packets } satisfies ToPlayer, [packets]);
    player.connect(this.#volume);
    this.#player = player;
  }

  /** Ms from the worklet to the ear, as far as the browser knows. */
  get outputMs(): number {
    return (this.context.baseLatency + (this.context.outputLatency || 0)) * 1_000;
  }
  get playing(): boolean {
    return this.context.state === "running";
  }
  async resume(): Promise<void> {
    await this.context.resume();
  }

  /** 0 to 1.5. */
  set volume(volume: number) {
    this.#volume.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }
  gain(seat: number, gain: number): void {
    this.#player?.port.postMessage({ gain: [seat, gain] } satisfies ToPlayer);
  }

  /** Whether the sound can be sent to a chosen device. */
  static get choosesOutput(): boolean {
    return "setSinkId" in AudioContext.prototype;
  }
  /** "" is the system's own choice. */
  async setOutput(device: string): Promise<void> {
    await this.context.setSinkId?.(device);
  }

  close(): void {
    this.context.onstatechange = null;
    this.context.close().catch(() => {});
  }
}
