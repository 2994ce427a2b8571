// Tracks of a session: those that we asked for, and those that we publish.

/** One object of a track. `timestamp` is media time in 48 kHz samples. */
export interface WireObject {
  group: number;
  object: number;
  timestamp: number;
  payload: Uint8Array;
  datagram: boolean;
}

export interface Callbacks {
  priority?: number;
  onAccepted?: () => void;
  onObject: (object: WireObject) => void;
  /** The track is over; with an error if it was refused or broken off. */
  onEnd?: (error?: unknown) => void;
}

/** One track that we asked for. */
export class Subscription {
  timescale = 48_000;
  readonly priority: number;
  /** How the publisher is told to stop; set by the protocol. */
  abandon: ((code: number) => Promise<unknown>) | null = null;
  #callbacks: Callbacks;
  #accepted = false;
  #ended = false;

  constructor(
    readonly id: number,
    readonly namespace: readonly string[],
    readonly track: string,
    callbacks: Callbacks,
  ) {
    this.#callbacks = callbacks;
    this.priority = callbacks.priority ?? 128;
  }
  accepted(): void {
    if (!this.#accepted) this.#callbacks.onAccepted?.();
    this.#accepted = true;
  }
  object(object: WireObject): void {
    if (this.#ended) return;
    this.accepted(); // a datagram may overtake the answer
    this.#callbacks.onObject(object);
  }
  end(error?: unknown): void {
    if (!this.#ended) this.#callbacks.onEnd?.(error);
    this.#ended = true;
  }
  /** Tells the publisher to stop, and hears nothing more. */
  async cancel(): Promise<void> {
    this.#ended = true;
    await this.abandon?.(0);
  }
}

/** Who asked for a track of ours. */
export interface Subscriber {
  datagram(group: number, payload: Uint8Array): Uint8Array<ArrayBuffer>;
  end(): Promise<unknown>;
}

/** One track that we publish, one object a group. */
export class Publication {
  nextGroup = 0;
  /** How its announcement is taken back; set by the protocol. */
  withdraw: (() => Promise<unknown>) | null = null;
  #subscribers = new Set<Subscriber>();

  constructor(
    readonly namespace: readonly string[],
    readonly track: string,
    readonly samplesPerGroup: number,
    /** Whether anybody takes it, at each change. */
    readonly onDemand: (wanted: boolean) => void = () => {},
  ) {}
  get wanted(): boolean {
    return this.#subscribers.size > 0;
  }
  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
    this.onDemand(true);
  }
  remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    this.onDemand(this.wanted);
  }
  /** The datagrams that carry `payload` as group `group`, one a subscriber. */
  datagrams(group: number, payload: Uint8Array): Uint8Array[] {
    this.nextGroup = group + 1;
    return [...this.#subscribers].map((subscriber) => subscriber.datagram(group, payload));
  }
  async end(): Promise<void> {
    await Promise.allSettled([...this.#subscribers].map((subscriber) => subscriber.end()));
    await this.withdraw?.();
  }
}
