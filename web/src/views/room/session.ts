// Being in one Space: its state, its sound, and our place in it. A session lives on while other views are shown.

import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { ApiError, api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import type { LiveAudio, OpenLiveAudio } from "@/live/live-audio";
import { playing } from "@/state/playing";
import { nameOf } from "@/state/profiles";
import { serverNow } from "@/state/server-clock";
import { named, onStage, type Seat, type SpaceState, seatOf } from "@/state/space";
import { followSpace, type SpaceFeed } from "@/state/space-feed";
import { explain } from "@/ui/errors";
import { toast } from "@/ui/toast";
import { noticeOf } from "./notices";

/** Where we are: at the door, on the way in, in, gone by our own will, put out. */
export type Stay = "outside" | "joining" | "inside" | "left" | "out";

type Admission = Schema<"AdmissionView">;

/** Events older than this are told by a stream that comes back: what they say is shown, not announced. */
const STALE_MS = 30_000;
const RETURN_KEY = "room";

/** Loads what makes sound; the door does it while people read. */
export const loadSound = (): Promise<OpenLiveAudio> => import("@/live/open").then((module) => module.openLiveAudio);

/** The session whose sound plays, if any. */
export const current = signal<RoomSession | null>(null);

export class RoomSession {
  readonly feed: SpaceFeed;
  readonly state: ReadonlySignal<SpaceState | null>;
  readonly stay = signal<Stay>("outside");
  readonly audio = signal<LiveAudio | null>(null);
  /** Why we are not in, where it is not by our own will. */
  readonly refusal = signal<string | null>(null);
  readonly anonymous = signal(false);
  /** Somebody asked us to unmute: their account. */
  readonly askedBy = signal<string | null>(null);
  readonly seat: ReadonlySignal<Seat | undefined>;
  /** Somebody may hear us now, as far as this page knows. */
  readonly onAir: ReadonlySignal<boolean>;
  readonly #ends: (() => void)[] = [];
  #place = "";
  /** As what we were let in. */
  #role: Admission["role"] = "outsider";
  #microphone: { open: boolean; replacedBy: string | null } = { open: false, replacedBy: null };

  constructor(
    readonly space: string,
    /** Our account; null for a guest. */
    readonly me: string | null,
    private readonly open: () => Promise<OpenLiveAudio> = loadSound,
  ) {
    this.feed = followSpace(space, me);
    this.state = this.feed.state;
    this.seat = computed(() => (this.state.value ? seatOf(this.state.value, me) : undefined));
    this.onAir = computed(() => {
      const mic = this.audio.value?.microphone.value;
      return this.seat.value?.muted === false && mic?.state === "on" && !mic.muted;
    });
    this.#ends.push(this.feed.listen((event, before, after) => this.#heard(event, before, after)));
    this.#ends.push(effect(() => this.#keepRole()));
    this.#ends.push(effect(() => this.#keepPlace()));
    this.#ends.push(effect(() => this.#watchSound()));
    this.#ends.push(effect(() => this.#watchMicrophone()));
  }

  /** Whether this page was in this Space when it was loaded again: then it goes back by itself. */
  get returning(): { anonymous: boolean } | null {
    const kept = sessionStorage.getItem(RETURN_KEY);
    if (!kept) return null;
    const { space, anonymous } = JSON.parse(kept) as { space: string; anonymous: boolean };
    return space === this.space ? { anonymous } : null;
  }

  /** Comes in and plays. In a click's turn. Throws ApiError. */
  async join(anonymous = false): Promise<void> {
    if (this.stay.peek() === "joining" || this.stay.peek() === "inside") return;
    this.stay.value = "joining";
    this.refusal.value = null;
    try {
      this.anonymous.value = anonymous;
      const [open, admission] = await Promise.all([this.open(), this.#admission()]);
      if (current.peek() !== this) current.peek()?.leave();
      const audio = open({
        space: this.space,
        seating: { accountAt: (seat) => this.state.peek()?.stage.find((one) => one.seat === seat)?.account },
        admit: () => this.#admission(),
        title: () => this.state.peek()?.title || t("room.untitled"),
        onMicrophoneKey: (muted) => {
          if (this.onAir.peek() === muted) this.toggleMic().catch((error) => toast(explain(error), "warn"));
        },
      });
      this.#place = place(admission.role, admission.seat);
      this.#role = admission.role;
      this.audio.value = audio;
      current.value = this;
      // A browser that wants a gesture first lets this wait; we are in all the same.
      const heard = audio.listen(admission);
      this.stay.value = "inside";
      sessionStorage.setItem(RETURN_KEY, JSON.stringify({ space: this.space, anonymous }));
      playing.value = {
        space: this.space,
        title: this.state.peek()?.title ?? "",
        live: true,
        leave: () => void this.leave(),
      };
      // A page that was loaded again has its microphone closed: nobody is to think that we can be heard.
      if (admission.seat !== null && !admission.muted) await this.#muteOnServer();
      void this.feed.reload();
      await heard;
    } catch (error) {
      this.#silence();
      this.stay.value = "outside";
      if (error instanceof ApiError) this.refusal.value = explain(error);
      throw error;
    }
  }

  /** Leaves for good: a place on the stage is given up. */
  async leave(): Promise<void> {
    const told = this.me !== null && this.stay.peek() === "inside" && this.state.peek()?.status === "live";
    this.#silence();
    this.stay.value = "left";
    if (told) {
      // Who is gone already, or cannot be heard by the server, is gone all the same.
      await ok(api.POST("/api/v1/spaces/{space}/leave", this.#at)).catch(() => {});
    }
  }

  /** Opens or closes the own microphone. In a click's turn. Throws ApiError. */
  async toggleMic(): Promise<void> {
    const audio = this.audio.peek();
    const seat = this.seat.peek();
    if (!audio || !seat || !this.me) return;
    if (this.onAir.peek()) {
      audio.mute(true);
      await this.#muteOnServer();
      return;
    }
    this.askedBy.value = null;
    // The microphone first: who cannot be heard should not look as if they could.
    if (audio.microphone.peek().state !== "on") await audio.speak(true);
    const { state, trouble } = audio.microphone.peek();
    if (state !== "on") {
      if (trouble) toast(trouble, "warn");
      return;
    }
    if (seat.muted) {
      const { version } = await ok(api.POST("/api/v1/spaces/{space}/mic/unmute", this.#at));
      await this.feed.reached(version);
    }
    // Somebody may have closed it again meanwhile.
    audio.mute(this.seat.peek()?.muted !== false);
  }

  /** Asks to speak, or thinks better of it: shown at once, taken back if it was refused. Throws ApiError. */
  async raiseHand(up: boolean): Promise<void> {
    const state = this.state.peek();
    if (!state) return;
    // Those whom the host follows need not ask; who they are the server knows.
    if (up && state.speak === "followed" && (await this.#tookMic())) return;
    const requested = up ? new Date().toISOString() : null;
    const undo = this.feed.suppose({ you: { ...state.you, requested, ahead: null } });
    try {
      if (up) await ok(api.PUT("/api/v1/spaces/{space}/request", this.#at));
      else await ok(api.DELETE("/api/v1/spaces/{space}/request", this.#at));
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Comes to the stage, where one may. Throws ApiError. */
  async takeMic(): Promise<void> {
    await ok(api.PUT("/api/v1/spaces/{space}/mic", this.#at));
  }

  async #tookMic(): Promise<boolean> {
    try {
      await this.takeMic();
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "stage.not_invited") return false;
      throw error;
    }
  }

  /** Ends everything; nothing of it can be used after. */
  close(): void {
    this.#silence();
    for (const end of this.#ends) end();
    this.feed.close();
  }

  get #at() {
    return { params: { path: { space: this.space } } };
  }

  async #muteOnServer(): Promise<void> {
    const account = this.me ?? "";
    await ok(
      api.POST("/api/v1/spaces/{space}/stage/{account}/mute", { params: { path: { space: this.space, account } } }),
    );
  }

  #admission(): Promise<Admission> {
    return ok(api.POST("/api/v1/spaces/{space}/join", { ...this.#at, body: { anonymous: this.anonymous.peek() } }));
  }

  #silence(): void {
    this.audio.peek()?.close();
    this.audio.value = null;
    this.askedBy.value = null;
    if (current.peek() === this) {
      current.value = null;
      playing.value = null;
      sessionStorage.removeItem(RETURN_KEY);
    }
  }

  #heard(...[event, before, after]: Parameters<Parameters<SpaceFeed["listen"]>[0]>): void {
    if (after.removed && !before.removed) this.#putOut(t("room.outRemoved"));
    if (after.status === "ended" && this.stay.peek() === "inside") {
      this.#silence();
      this.stay.value = "left";
    }
    if (this.stay.peek() !== "inside" || !fresh(event.at)) return;
    if (event.event === "asked_to_unmute" && event.data.account === this.me) {
      this.askedBy.value = String(event.data.by);
      return;
    }
    const notice = noticeOf(event, before, after, this.me);
    if (!notice) return;
    const tell = (name: string) => toast(t(notice.text, { name, ...notice.places }), notice.warn ? "warn" : "plain");
    if (notice.name) void nameOf(notice.name).then(tell);
    else tell("");
  }

  #putOut(why: string): void {
    this.#silence();
    this.refusal.value = why;
    this.stay.value = "out";
  }

  /** The engine tells the server about once a second who is there: until then its answers call us an outsider. */
  #keepRole(): void {
    const state = this.state.value;
    if (this.stay.value !== "inside" || !state || state.removed || state.you.role !== "outsider") return;
    if (this.#role !== "outsider") this.feed.suppose({ you: { ...state.you, role: this.#role } });
  }

  /** The sound knows our seat by the admission, so a new seat needs a new one; no seat needs no microphone. */
  #keepPlace(): void {
    const state = this.state.value;
    const audio = this.audio.value;
    if (state?.status !== "live" || !audio || this.stay.value !== "inside") return;
    const seat = this.seat.value;
    const now = place(seat ? seat.role : "listener", seat?.seat ?? null);
    if (seat?.muted !== false && !audio.microphone.peek().muted) audio.mute(true);
    if (now === this.#place) return;
    this.#place = now;
    if (!seat) audio.quiet();
    this.#admission().then(
      (admission) => audio.readmit(admission),
      // Put out meanwhile: that is said elsewhere.
      (error) => this.stay.peek() === "inside" && toast(explain(error), "warn"),
    );
    if (seat) tellOfClips(this.space, state);
  }

  #watchSound(): void {
    const audio = this.audio.value;
    const state = this.state.value;
    if (state && playing.peek()?.space === this.space && playing.peek()?.title !== state.title) {
      const now = playing.peek();
      if (now) playing.value = { ...now, title: state.title };
    }
    // Left by the device's own media controls.
    if (audio?.phase.value === "idle" && this.stay.peek() === "inside") return void this.leave();
    const refused = audio?.refusal.value;
    if (audio?.phase.value !== "refused" || !refused) return;
    const { code, text } = refused;
    // An end is told by the events, with what follows from it.
    if (code !== "state.ended") this.#putOut(explain(new ApiError(code, 0, text)));
  }

  /** A microphone that went away in the middle of a talk: it is said, and nobody is shown as heard who is not. */
  #watchMicrophone(): void {
    const mic = this.audio.value?.microphone.value;
    const before = this.#microphone;
    const replacedBy = mic?.replacedBy ?? null;
    this.#microphone = { open: mic?.state === "on", replacedBy };
    if (replacedBy !== null && replacedBy !== before.replacedBy) toast(t("room.micReplaced", { name: replacedBy }));
    if (!before.open || mic?.state !== "refused") return;
    if (mic.trouble) toast(mic.trouble, "warn");
    if (this.seat.peek()?.muted === false) this.#muteOnServer().catch((error) => toast(explain(error), "warn"));
  }
}

const place = (role: string, seat: number | null) => `${onStage(role as Seat["role"]) ? role : "audience"}:${seat}`;

const fresh = (at: string | undefined) => at === undefined || serverNow() - Date.parse(at) < STALE_MS;

/** Who comes to the stage of a Space that can be clipped is told so, once a Space. */
function tellOfClips(space: string, state: SpaceState): void {
  const key = `clips-told:${space}`;
  if (!state.clips || !named(state.you.role) || sessionStorage.getItem(key)) return;
  sessionStorage.setItem(key, "1");
  toast(t("room.noticeClippable"));
}
