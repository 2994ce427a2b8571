// The `state` track: a group begins with a snapshot of the Space (roster, title, recording); behind it come small objects with
// `{counts: {named, anonymous, guests}, reactions?: [n, …]}`. Counts are whole values, reactions those since the object before.

export class LiveState {
  #version = -1;
  #snapshot = null;
  #counts = null;

  /** Takes one object. What it changes: `{state?, reactions?}`, or null for what is old or cannot be read. */
  take({ group, object, payload }) {
    if (group < this.#version) return null;
    let said;
    try {
      said = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      return null; // a roster that cannot be read changes nothing
    }
    if (said === null || typeof said !== "object") return null;
    this.#version = group;
    if (object === 0) {
      this.#snapshot = said;
      return { state: this.#state() };
    }
    const change = {};
    if (said.counts) this.#counts = said.counts;
    if (said.counts && this.#snapshot) change.state = this.#state();
    if (Array.isArray(said.reactions)) change.reactions = said.reactions;
    return change;
  }

  /** The snapshot with the counts that were told last: they are newer than its own. */
  #state() {
    return this.#counts ? { ...this.#snapshot, counts: this.#counts, listeners: undefined } : this.#snapshot;
  }
}
