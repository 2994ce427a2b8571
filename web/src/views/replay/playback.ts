// One audio element as signals: where it is, whether it plays, how fast; and its captions, which the browser parses.
import { type ReadonlySignal, signal } from "@preact/signals";

export interface Cue {
  from: number;
  to: number;
  /** Who said it, from WebVTT's voice tag. */
  who: string;
  text: string;
}

export interface Playback {
  element: HTMLAudioElement;
  at: ReadonlySignal<number>;
  playing: ReadonlySignal<boolean>;
  rate: ReadonlySignal<number>;
  cues: ReadonlySignal<readonly Cue[]>;
  /** Nothing of what is offered can be played here. */
  broken: ReadonlySignal<boolean>;
  toggle(): void;
  seek(seconds: number): void;
  setRate(rate: number): void;
  close(): void;
}

export interface Sources {
  title: string;
  /** Address and media type, best first. */
  forms: readonly (readonly [string, string])[];
  captions: string | null;
  seconds: number;
}

/** Makes the element (outside the page: it has no look of its own) and follows it. */
export function openPlayback({ title, forms, captions, seconds }: Sources): Playback {
  const element = new Audio();
  element.preload = "metadata";
  const at = signal(0);
  const playing = signal(false);
  const rate = signal(1);
  const cues = signal<readonly Cue[]>([]);
  const broken = signal(false);
  for (const [src, type] of forms) element.append(Object.assign(document.createElement("source"), { src, type }));
  element.lastElementChild?.addEventListener("error", () => {
    broken.value = true;
  });
  if (captions) {
    const track = Object.assign(document.createElement("track"), { kind: "captions", src: captions, srclang: "en" });
    track.addEventListener("load", () => {
      cues.value = [...(track.track.cues ?? [])].map((cue) => readCue(cue as VTTCue));
    });
    element.append(track);
    track.track.mode = "hidden"; // read, shown by us
  }
  const seek = (to: number) => {
    element.currentTime = Math.min(Math.max(0, to), seconds);
    at.value = element.currentTime;
  };
  const follow = () => {
    at.value = element.currentTime;
    playing.value = !element.paused && !element.ended;
  };
  for (const name of ["timeupdate", "seeked", "play", "pause", "ended"]) element.addEventListener(name, follow);
  const session = "mediaSession" in navigator ? navigator.mediaSession : null;
  if (session) {
    session.metadata = new MediaMetadata({ title, artist: "Spaces" });
    session.setActionHandler("seekbackward", () => seek(element.currentTime - 15));
    session.setActionHandler("seekforward", () => seek(element.currentTime + 15));
    session.setActionHandler("seekto", (details) => seek(details.seekTime ?? 0));
  }
  return {
    element,
    at,
    playing,
    rate,
    cues,
    broken,
    toggle: () => (element.paused ? void element.play().catch(() => {}) : element.pause()),
    seek,
    setRate(wanted) {
      element.playbackRate = wanted;
      rate.value = wanted;
    },
    close() {
      element.pause();
      element.replaceChildren();
      element.load();
      if (session) {
        session.metadata = null;
        for (const action of ["seekbackward", "seekforward", "seekto"] as const) session.setActionHandler(action, null);
      }
    },
  };
}

/** A cue with its voice apart: `<v Ann>Hello` (WebVTT, section 6.4). */
export function readCue(cue: Pick<VTTCue, "startTime" | "endTime" | "text">): Cue {
  const voice = /^<v(?:\.[^ >]*)?\s+([^>]*)>/.exec(cue.text);
  const words = cue.text.replace(/<[^>]*>/g, "");
  return { from: cue.startTime, to: cue.endTime, who: plain(voice?.[1] ?? ""), text: plain(words).trim() };
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", nbsp: " ", lrm: "\u200e", rlm: "\u200f" };
const plain = (text: string) => text.replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
