// Notices a connection that is dead without saying so: a phone that left the Wi-Fi, a router that forgot us. When nothing came
// for a while, the server is asked for a sign of life; silence on stage is no proof, as nothing is sent then.

/** Quiet for so long, in ms, after sound: ask. */
const QUIET = 2_000;
/** Longest that an answer may take. */
const ANSWER = 3_000;
/** From one answer to the next question, while it stays quiet. */
const REST = 10_000;

export class Watchdog {
  #heard: number;
  #due: number;
  #asked: number | null = null;
  #dead = false;

  /** `ask` sends a question whose answer calls `heard`; `onDead` is called once for a connection that gives none. */
  constructor(
    now: number,
    readonly ask: () => void,
    readonly onDead: () => void,
  ) {
    this.#heard = now;
    this.#due = now + QUIET;
  }

  /** Something came: sound, or (`answer`) only what we asked for. */
  heard(now: number, answer = false): void {
    this.#heard = now;
    this.#due = now + (answer ? REST : QUIET);
    this.#asked = null;
    this.#dead = false;
  }

  /** To be called about once a second. */
  tick(now: number): void {
    if (this.#dead) return;
    if (this.#asked !== null) {
      if (now - this.#asked < ANSWER) return;
      this.#dead = true;
      this.onDead();
    } else if (now >= this.#due) {
      this.#asked = now;
      this.ask();
    }
  }

  /** Ms since anything came. */
  quietFor(now: number): number {
    return now - this.#heard;
  }
}
