// What the device shows and does around a Space: media keys and lock screen (Media Session), a screen that stays on while we
// are on stage (Screen Wake Lock).

interface Controls {
  title: string;
  artist: string;
  /** Play and pause keys, headset buttons. */
  onPause: (paused: boolean) => void;
  /** The microphone's own key, on lock screens and headsets. */
  onMicrophone: () => void;
  onLeave: () => void;
}

type Session = MediaSession & { setMicrophoneActive?: (active: boolean) => void };

export function mediaControls({ title, artist, onPause, onMicrophone, onLeave }: Controls): {
  /** `microphone` is null while none is open. */
  show(paused: boolean, microphone: boolean | null): void;
  end(): void;
} {
  const session: Session | undefined = navigator.mediaSession;
  const actions: [string, () => void][] = [
    ["play", () => onPause(false)],
    ["pause", () => onPause(true)],
    ["stop", onLeave],
    ["hangup", onLeave],
    ["togglemicrophone", onMicrophone],
  ];
  const handle = (set: boolean) => {
    for (const [action, act] of actions) {
      try {
        session?.setActionHandler(action as MediaSessionAction, set ? act : null);
      } catch {
        // an action that this browser does not know
      }
    }
  };
  if (session && typeof MediaMetadata === "function") session.metadata = new MediaMetadata({ title, artist });
  handle(true);
  return {
    show(paused, microphone) {
      if (!session) return;
      session.playbackState = paused ? "paused" : "playing";
      session.setMicrophoneActive?.(microphone === true);
    },
    end() {
      handle(false);
      if (!session) return;
      session.metadata = null;
      session.playbackState = "none";
    },
  };
}

/** Keeps the screen on while held; a hidden page loses it, so it is asked for again when it is seen. */
export class ScreenLock {
  #wanted = false;
  #lock: WakeLockSentinel | null = null;
  #asking = false;

  hold(wanted: boolean): void {
    this.#wanted = wanted;
    if (wanted) this.#ask();
    else {
      this.#lock?.release().catch(() => {});
      this.#lock = null;
    }
  }
  /** The page is seen again. */
  seen(): void {
    if (this.#wanted && (this.#lock === null || this.#lock.released)) this.#ask();
  }
  async #ask(): Promise<void> {
    // A second lock would be one that nobody lets go of.
    if (this.#asking) return;
    this.#asking = true;
    try {
      const lock = await navigator.wakeLock?.request("screen");
      if (this.#wanted) this.#lock = lock ?? null;
      else await lock?.release();
    } catch {
      // low battery, or not allowed: the screen may go off
    } finally {
      this.#asking = false;
    }
  }
}
