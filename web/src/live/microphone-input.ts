// The microphone: asks the person, follows the chosen device, survives that it is unplugged, hands 20 ms frames to a port.

import captureUrl from "./capture-worklet.ts?worker&url";
import type { Microphone } from "./live-audio";

export type Processing = Microphone["processing"];

export interface MicrophoneEvents {
  /** The device went away, or the person took the permission back, and no other could be had. */
  onLost: (error: unknown) => void;
  /** The device went away; the one of this name goes on in its place. */
  onReplaced: (name: string) => void;
}

export class MicrophoneInput {
  #context: AudioContext;
  #node: AudioWorkletNode | null = null;
  #source: MediaStreamAudioSourceNode | null = null;
  #stream: MediaStream | null = null;
  #processing: Processing;
  #events: MicrophoneEvents;

  constructor(context: AudioContext, processing: Processing, events: MicrophoneEvents) {
    this.#context = context;
    this.#processing = processing;
    this.#events = events;
  }

  /** Asks for `device` (null: the system's choice); frames then go to `port`. Throws what getUserMedia throws. */
  async open(device: string | null, port: MessagePort): Promise<void> {
    await Promise.all([this.#take(device), this.#context.audioWorklet.addModule(captureUrl)]);
    this.#node = new AudioWorkletNode(this.#context, "spaces-capture", {
      numberOfInputs: 1,
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.#node.port.postMessage({ port }, [port]);
    this.#node.connect(this.#context.destination); // its output is silence; connected, it keeps running
    this.#connect();
  }

  /** The device in use. */
  get device(): string | null {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? null;
  }

  /** Another device, without a break in what is published. Throws what getUserMedia throws; the old one goes on then. */
  async choose(device: string | null): Promise<void> {
    await this.#take(device);
    this.#connect();
  }

  async process(processing: Processing): Promise<void> {
    this.#processing = processing;
    const track = this.#stream?.getAudioTracks()[0];
    if (!track) return;
    // Chromium changes echo cancellation only with a new track.
    const before = this.device;
    await this.#take(before);
    this.#connect();
  }

  close(): void {
    this.#release();
    this.#node?.disconnect();
    this.#node = null;
  }

  async #take(device: string | null): Promise<void> {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "missing");
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { ...this.#processing, channelCount: 1, ...(device ? { deviceId: { exact: device } } : {}) },
    });
    this.#release();
    this.#stream = stream;
    const track = stream.getAudioTracks()[0];
    track?.addEventListener("ended", () => {
      if (this.#stream === stream) this.#replace();
    });
  }

  #connect(): void {
    if (!this.#stream || !this.#node) return;
    this.#source?.disconnect();
    this.#source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: this.#stream });
    this.#source.connect(this.#node);
  }

  // Unplugged: the system's own choice goes on.
  async #replace(): Promise<void> {
    try {
      await this.choose(null);
      this.#events.onReplaced(this.#stream?.getAudioTracks()[0]?.label ?? "");
    } catch (error) {
      this.#events.onLost(error);
    }
  }

  #release(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#source?.disconnect();
    this.#source = null;
    this.#stream = null;
  }
}
