// The last resort: the Space's mix by HTTP Live Streaming, some eight seconds late, where neither WebTransport nor a
// WebSocket comes through. Begins by itself when nothing else has worked for a while, and ends as soon as something does.

import type HlsPlayer from "hls.js";

/** Nothing else gets longer than this, in ms, from its first attempt. */
export const PATIENCE = 20_000;
const TYPE = "application/vnd.apple.mpegurl";

export interface LiveHlsOptions {
  space: string;
  /** It plays, or does no more. */
  onPlaying: (playing: boolean) => void;
  /** The browser wants a gesture first. */
  onBlocked: () => void;
  patience?: number;
  /** For tests. */
  audio?: () => HTMLAudioElement;
}

export class LiveHls {
  #options: LiveHlsOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #audio: HTMLAudioElement | null = null;
  #player: HlsPlayer | null = null;
  #volume = 1;

  constructor(options: LiveHlsOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#audio !== null;
  }

  /** Begins when nothing else has worked for a while. */
  arm(): void {
    if (this.#timer === undefined && !this.running) {
      this.#timer = setTimeout(() => this.start(), this.#options.patience ?? PATIENCE);
    }
  }

  async start(): Promise<void> {
    this.#disarm();
    if (this.running) return;
    const audio = this.#options.audio?.() ?? new Audio();
    this.#audio = audio;
    audio.volume = Math.min(1, this.#volume);
    audio.onplaying = () => this.#options.onPlaying(true);
    const url = `/api/v1/spaces/${this.#options.space}/live/hls/main.m3u8`;
    // hls.js first: what browsers other than Safari call support of their own is not worth much yet.
    const { default: Hls } = await import("hls.js/dist/hls.light.mjs");
    if (audio !== this.#audio) return; // stopped meanwhile
    if (Hls.isSupported()) {
      // A worker of its own would be made of a blob, which our content security policy forbids.
      this.#player = new Hls({
        enableWorker: false,
        lowLatencyMode: false,
        liveSyncDurationCount: 3,
        backBufferLength: 10,
      });
      this.#player.on(Hls.Events.ERROR, (_, { fatal, type }) => {
        if (!fatal) return;
        if (type === Hls.ErrorTypes.MEDIA_ERROR) this.#player?.recoverMediaError();
        else this.#fail();
      });
      this.#player.loadSource(url);
      this.#player.attachMedia(audio);
    } else if (audio.canPlayType(TYPE)) {
      audio.onerror = () => this.#fail();
      audio.src = url;
    } else {
      return this.#fail();
    }
    await this.resume();
  }

  /** In a click's turn, if the browser wanted one. */
  async resume(): Promise<void> {
    await this.#audio?.play().catch((error) => {
      if (error?.name === "NotAllowedError") this.#options.onBlocked();
    });
  }

  /** 0 to 1; more is 1. */
  set volume(volume: number) {
    this.#volume = volume;
    if (this.#audio) this.#audio.volume = Math.min(1, volume);
  }

  stop(): void {
    this.#disarm();
    this.#player?.destroy();
    this.#player = null;
    if (!this.#audio) return;
    this.#audio.onplaying = null;
    this.#audio.onerror = null;
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio = null;
  }

  #fail(): void {
    this.stop();
    this.#options.onPlaying(false);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
