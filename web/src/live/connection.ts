// Stays connected to one Space: opens a session, subscribes, opens the next one when the network changes or the server says
// that it goes away, tries again with growing waits when it breaks. The old session is closed only when the new one brings
// sound; bundles that come twice count once (the receiver sees to it).
//
//   connecting ──accepted──▶ live ──lost, moved──▶ reconnecting ──accepted──▶ live
//       └──────────refused────┴─────────refused────────┴──▶ refused (for good)

import type { Path } from "./live-audio";
import { remedyFor } from "./refusals";
import { adviceIn, TIERS, type Tier, TierChoice } from "./tiers";
import { type Address, ConnectError } from "./transport";
import type { Choice } from "./transport-any";
import { Watchdog } from "./watchdog";
import { Lite05 } from "./wire/lite05";
import { Moqt18 } from "./wire/moqt18";
import type { Session } from "./wire/session";
import type { Subscription, WireObject } from "./wire/tracks";

const PROTOCOLS = { "moq-lite-05": Lite05, "moqt-18": Moqt18 };
export type Protocol = keyof typeof PROTOCOLS;

/** Wait before the second attempt, and the longest wait, in ms. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** A session that has lasted this long was a good one: the next attempt is quick again. */
const GOOD = 10_000;
/** An admission this close to its end is renewed first, in ms. */
const ALMOST_EXPIRED = 5_000;

/** What the page got from `POST /join`, as far as the connection cares. */
export interface Admission {
  urls: readonly string[];
  token: string;
  certificate: string | null;
  /** Milliseconds since 1970. */
  expires: number;
  seat: number | null;
}

export type ConnectionStatus =
  | { phase: "connecting" | "reconnecting" }
  | { phase: "live"; path: Path }
  | { phase: "refused"; code: string; text: string };

export interface ConnectionOptions {
  space: string;
  origin: string;
  protocol: Protocol;
  choice: Choice;
  /** A fresh admission. Throws ConnectError. */
  admit: () => Promise<Admission>;
  onStatus: (status: ConnectionStatus) => void;
  onBundle: (object: WireObject, tier: Tier) => void;
  /** The player shall play this; `playing` answers. Told at each change, and with each session. */
  onWanted: (tier: Tier) => void;
  onCaption: (object: WireObject) => void;
  /** A session is there to be published on. */
  onSession: (session: Session) => void;
}

export class Connection {
  #options: ConnectionOptions;
  #admission: Admission;
  #session: Session | null = null;
  #stopped = false;
  /** The session is to be replaced at once. */
  #hurry = false;
  #attempt = new AbortController();
  #wake = () => {};
  #watchdog: Watchdog | null = null;
  #timer: ReturnType<typeof setInterval>;
  #captions = false;
  #choice = new TierChoice();
  /** Of the session that there is. */
  #tracks = new Map<Tier, Subscription[]>();
  #follow = () => {};

  constructor(options: ConnectionOptions, admission: Admission) {
    this.#options = options;
    this.#admission = admission;
    this.#choice.seated = admission.seat !== null;
    this.#timer = setInterval(() => this.#watchdog?.tick(performance.now()), 1_000);
  }

  get namespace(): readonly string[] {
    return ["spaces", this.#options.space];
  }
  get session(): Session | null {
    return this.#session;
  }

  /** Another admission. A token of somebody else (signed in meanwhile, no longer anonymous) needs a session of its own. */
  readmit(admission: Admission): void {
    const other = bearer(admission.token) !== bearer(this.#admission.token);
    this.#admission = admission;
    this.#choice.seated = admission.seat !== null;
    if (other) this.reopen();
    else this.#follow();
  }

  /** Whether live text is wanted. */
  captions(on: boolean): void {
    this.#captions = on;
    if (on && this.#session) this.#subscribeCaptions(this.#session);
  }

  /** Whether the mix is heard wherever it may be had. */
  saveData(on: boolean): void {
    this.#choice.savesData = on;
    this.#follow();
  }

  /** What the player plays now. */
  playing(tier: Tier): void {
    this.#choice.playing = tier;
    this.#follow();
  }

  /** Opens another session beside this one, now. `network`: the way to the server may be another one. */
  reopen({ network = false }: { network?: boolean } = {}): void {
    if (network) this.#options.choice.forget();
    this.#hurry = true;
    this.#attempt.abort();
    this.#wake();
  }

  close(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#attempt.abort();
    this.#wake();
    this.#session?.close(0, "left");
  }

  /** Runs until it is closed or refused for good. */
  async run(): Promise<void> {
    this.#options.onStatus({ phase: "connecting" });
    let attempts = 0;
    while (!this.#stopped) {
      const began = performance.now();
      this.#hurry = false;
      const failure = await this.#oneSession().catch(asFailure);
      if (this.#stopped) return;
      if (failure) {
        const remedy = failure.retry ? remedyFor(failure.code) : "none";
        if (remedy === "none") return this.#refused(failure);
        if (remedy === "admission") {
          // Once: a fresh one that is refused as well is refused for good.
          if (attempts > 0 && performance.now() - began < GOOD) return this.#refused(failure);
          this.#admission = { ...this.#admission, expires: 0 };
        }
      }
      if (!this.#session) this.#options.onStatus({ phase: "reconnecting" });
      attempts = performance.now() - began > GOOD ? 0 : attempts + 1;
      if (this.#hurry) attempts = 0;
      else await this.#pause(Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.max(0, attempts - 1)));
    }
  }

  /** One session from its first byte until it ends or another shall take over. Answers why it ended, null if it did not. */
  async #oneSession(): Promise<ConnectError | null> {
    if (this.#admission.expires - Date.now() < ALMOST_EXPIRED) this.#admission = await this.#options.admit();
    this.#attempt = new AbortController();
    const signal = this.#attempt.signal;
    const transport = await this.#options.choice.open(this.#address(), signal);
    const { onSession, onStatus } = this.#options;
    const Protocol = PROTOCOLS[transport.protocol as Protocol] ?? PROTOCOLS[this.#options.protocol];
    const opened: Session = new Protocol(transport, { onGoAway: () => this.#session === opened && this.reopen() });
    await opened.begin();
    const before = this.#session;
    this.#session = opened;
    const closed = opened.closed.then((end) => {
      if (this.#session === opened) this.#session = null;
      return new ConnectError(
        end.code === null ? "The connection was lost." : end.reason,
        end.code === null ? "" : end.reason,
      );
    });
    const moved = new Promise<null>((resolve) => signal.addEventListener("abort", () => resolve(null)));
    this.#subscribe(opened, () => {
      onStatus({ phase: "live", path: opened.path });
      before?.close(0, "moved on");
    });
    onSession(opened);
    const end = await Promise.race([closed, moved]);
    before?.close(0, "moved on");
    return end;
  }

  #address(): Address {
    const { urls, token, certificate } = this.#admission;
    const { origin, space, protocol } = this.#options;
    return { urls, token, certificate, origin, space, protocol };
  }

  #subscribe(opened: Session, onAccepted: () => void): void {
    const { onBundle, onWanted } = this.#options;
    const alive = (answer: boolean) => {
      if (this.#session === opened) this.#watchdog?.heard(performance.now(), answer);
    };
    const ask = () => {
      opened.ping(this.namespace).then(
        () => alive(true),
        () => {}, // the session is over, or will be found dead
      );
    };
    this.#watchdog = new Watchdog(performance.now(), ask, () => {
      if (this.#session !== opened) return;
      this.#options.onStatus({ phase: "reconnecting" });
      this.reopen({ network: true });
    });
    const accepted = () => {
      alive(false);
      if (this.#session === opened) onAccepted();
    };
    const take = (tier: Tier) => (object: WireObject) => {
      alive(false);
      onBundle(object, tier);
    };
    let refused = false;
    const begin = (tier: Tier): Subscription[] => {
      const onEnd = () => {
        if (this.#tracks.get(tier)?.[0] !== first) return; // given up by us
        if (tier === "mix") this.#choice.refuse();
        else refused = true;
        this.#tracks.delete(tier);
        if (tier === "mix") this.#follow();
      };
      const first = opened.subscribe(this.namespace, tier, {
        priority: 200,
        onObject: take(tier),
        onAccepted: accepted,
        onEnd,
      });
      if (tier === "mix") return [first];
      return [first, opened.subscribe(this.namespace, "stage.1", { priority: 190, onObject: take(tier) })];
    };
    this.#tracks = new Map();
    this.#choice.begin();
    this.#follow = () => {
      if (this.#session !== opened) return;
      const { needed, wanted } = this.#choice;
      for (const tier of TIERS) {
        const have = this.#tracks.get(tier);
        if (needed.has(tier) && !have && !(tier === "stage" && refused)) this.#tracks.set(tier, begin(tier));
        if (needed.has(tier) || !have) continue;
        this.#tracks.delete(tier);
        for (const subscription of have) subscription.cancel().catch(() => {});
      }
      onWanted(wanted);
    };
    this.#follow();
    opened.subscribe(this.namespace, "state", {
      priority: 60,
      onObject: ({ payload }) => {
        const advice = adviceIn(payload);
        if (advice === null || this.#session !== opened) return;
        this.#choice.advice = advice;
        this.#follow();
      },
    });
    // A Space that is not live yet, or again, is announced when it is.
    const path = this.namespace.join("/");
    opened
      .watch(this.namespace, (announced, live) => {
        if (!live || !refused || announced.join("/") !== path) return;
        refused = false;
        this.#follow();
      })
      .catch(() => {});
    if (this.#captions) this.#subscribeCaptions(opened);
  }

  #subscribeCaptions(opened: Session): void {
    const onObject = (object: WireObject) => {
      if (this.#captions) this.#options.onCaption(object);
    };
    opened.subscribe(this.namespace, "captions", { priority: 50, onObject });
  }

  #refused(failure: ConnectError): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#session?.close(0, "refused");
    this.#options.onStatus({ phase: "refused", code: failure.code, text: failure.message });
  }

  /** Waits `ms` and a random part less, or until woken. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + Math.random() / 2));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function asFailure(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError(error instanceof Error ? error.message : String(error));
}

/** Who a token is for, without how long it lasts: tokens are minted anew for the same person. */
function bearer(token: string): string {
  try {
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")));
    const { exp, iat, nbf, jti, ver, ...who } = claims as Record<string, unknown>;
    return JSON.stringify(who);
  } catch {
    return token;
  }
}
