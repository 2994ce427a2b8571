// What is on the screen. Knows the document and nothing of sound or network.

const SVG = "http://www.w3.org/2000/svg";
const BADGES = {
  idle: ["Not connected", "quiet"],
  connecting: ["Connecting", "quiet"],
  reconnecting: ["Reconnecting", "warn"],
  waiting: ["Reconnecting", "warn"],
  unavailable: ["Not live", "quiet"],
  live: ["Live", "live"],
  refused: ["Not connected", "warn"],
};
const ROLES = { host: "Host", cohost: "Co-host", "co-host": "Co-host", speaker: "Speaker" };
/** Levels in −dBov between which a ring grows from nothing to full. */
const FAINT = 62;
const LOUD = 22;
/** Reports over which rates are told: 80 ms each. */
const WINDOW = 64;

export class Room {
  /** The last counters of playout and queue, for tests. */
  counters = {};
  /** Reactions seen so far, by kind. */
  reacted = [];
  /** What shows them. */
  onReactions = () => {};
  #document;
  #people = new Map();
  #own = 127;
  #ownSeat = null;
  #reports = [];
  #history = [];

  constructor(document) {
    this.#document = document;
  }

  #get(id) {
    return this.#document.getElementById(id);
  }

  // --- what people do ---

  on(id, action) {
    this.#get(id).addEventListener("click", action);
  }
  onVolume(changed) {
    this.#get("volume").addEventListener("input", () => changed(this.volume));
  }
  /** Gain for the slider's place: the ear hears in powers, not in steps. */
  get volume() {
    return (this.#get("volume").valueAsNumber / 100) ** 2;
  }

  // --- what they see ---

  ready() {
    this.#get("listen").disabled = false;
  }

  title(title) {
    if (typeof title !== "string" || title === "") return;
    this.#set("title", title);
    this.#document.title = `${title} · Spaces`;
  }

  /** Where the connection stands, and a sentence about it or null. */
  phase(phase, notice) {
    const main = this.#get("room");
    main.dataset.phase = phase;
    const [badge, tone] = BADGES[phase] ?? BADGES.live;
    this.#set("badge", badge);
    this.#get("badge").dataset.tone = tone;
    this.#set("listen-text", phase === "idle" ? "Start listening" : phase === "refused" ? "Try again" : "Leave");
    this.#get("speak").disabled = phase !== "live";
    if (phase === "idle") this.#forget();
    this.#setEmpty(phase);
    this.notice(notice, phase === "refused" || phase === "waiting" ? "warn" : "plain");
  }

  notice(words, tone = "plain") {
    const element = this.#get("notice");
    element.hidden = !words;
    element.dataset.tone = tone;
    if (words && element.textContent !== words) element.textContent = words;
  }

  protocol(name) {
    this.#set("protocol", name);
  }

  /** The Space's roster: `{title, live, recording, listeners | counts, stage: [{seat, name, role, muted}]}`. */
  state(state) {
    this.title(state.title);
    this.#get("recording").hidden = state.recording !== true;
    const counts = state.counts ?? {};
    const named = [counts.named, counts.anonymous, counts.guests].filter(Number.isFinite);
    const listeners = state.listeners ?? (named.length > 0 ? named.reduce((a, b) => a + b, 0) : null);
    if (Number.isFinite(listeners)) this.#set("count", `${listeners.toLocaleString()} ${listeners === 1 ? "person" : "people"} here`);
    const stage = Array.isArray(state.stage) ? state.stage : [];
    const seats = new Set(stage.map(({ seat }) => seat));
    for (const [seat, person] of this.#people) if (!seats.has(seat) && person.known) this.#remove(seat);
    for (const row of stage) if (Number.isInteger(row.seat)) this.#show(row);
    this.#setEmpty(this.#get("room").dataset.phase);
  }

  /** Reactions of everybody since the last call, by kind. */
  reactions(counts) {
    this.reacted = counts.map((count, kind) => (this.reacted[kind] ?? 0) + (Number.isFinite(count) ? count : 0));
    this.onReactions(counts);
  }

  /** A report of the playout, twelve times a second. */
  playing({ levels, counts, offTarget }, outputLatency) {
    const loud = new Map(levels);
    if (this.ownSeat !== null) loud.set(this.ownSeat, this.#own);
    for (const [seat] of loud) if (!this.#people.has(seat)) this.#show({ seat, role: "speaker" });
    for (const [seat, person] of this.#people) ring(person, loud.get(seat) ?? 127);
    Object.assign(this.counters, counts);
    this.#reports.push({ ...counts, offTarget, outputLatency });
    if (this.#reports.length > WINDOW) this.#reports.shift();
  }

  /** Counters of the queue, once a second. */
  stats(stats) {
    Object.assign(this.counters, stats);
    this.#history.push(stats);
    if (this.#history.length > 6) this.#history.shift();
    const [first, last] = [this.#history[0], this.#history.at(-1)];
    const [from, to] = [this.#reports[0], this.#reports.at(-1)];
    const played = last.played - first.played;
    const lost = last.lost - first.lost;
    const heard = to ? to.heard - from.heard : 0;
    const concealed = to ? to.concealed - from.concealed : 0;
    const loss = share(lost, played + lost);
    const repaired = share(concealed, heard + concealed);
    const delay = last.target + Math.max(0, to?.offTarget ?? 0) + (to?.outputLatency ?? 0);
    this.#set("delay", `${Math.round(delay)} ms`);
    this.#set("loss", percent(loss));
    this.#set("repaired", percent(repaired));
    const bars = repaired > 0.05 || delay > 400 ? 1 : repaired > 0.01 || delay > 200 ? 2 : 3;
    this.#get("bars").dataset.bars = bars;
    this.#set("verdict", ["", "Poor", "Fair", "Good"][bars]);
  }

  ownLevel(level) {
    this.#own = level;
  }

  /** The seat that we hold, or null: an unnamed face of ours goes with it. */
  set ownSeat(seat) {
    const before = this.#ownSeat;
    this.#ownSeat = seat;
    if (seat === null && before !== null && !this.#people.get(before)?.known) this.#remove(before);
  }
  get ownSeat() {
    return this.#ownSeat;
  }

  /** Something is under way that the button began. It keeps the keyboard's focus, so it is not disabled. */
  busySpeaking(busy) {
    this.#get("speak").setAttribute("aria-busy", String(busy));
  }
  speaking(speaking, muted) {
    const button = this.#get("speak");
    button.classList.toggle("on", speaking && !muted);
    if (speaking) button.setAttribute("aria-pressed", String(!muted));
    else button.removeAttribute("aria-pressed");
    this.#set("speak-text", !speaking ? "Speak" : muted ? "Unmute" : "Mute");
    this.#get("step-down").hidden = !speaking;
  }

  /** The sound has stopped. */
  silence() {
    for (const person of this.#people.values()) ring(person, 127);
    this.#reports = [];
    this.#history = [];
    for (const id of ["delay", "loss", "repaired", "protocol"]) this.#set(id, "–");
    this.#get("bars").dataset.bars = 0;
    this.#set("verdict", "Connection");
  }

  // --- people ---

  #show({ seat, name, display_name: displayName, role, muted }) {
    const known = typeof (name ?? displayName) === "string";
    let person = this.#people.get(seat);
    if (!person) {
      person = this.#make(seat);
      this.#people.set(seat, person);
      const after = [...this.#people.keys()].filter((other) => other > seat).sort((a, b) => a - b)[0];
      this.#get("people").insertBefore(person.item, this.#people.get(after)?.item ?? null);
    }
    const fallback = seat === this.ownSeat ? "You" : `Seat ${seat + 1}`;
    const shown = known ? name ?? displayName : person.known ? person.name.textContent : fallback;
    person.known ||= known;
    person.name.textContent = shown;
    person.initials.textContent = person.known || shown === "You" ? initials(shown) : String(seat + 1);
    person.role.textContent = [ROLES[role] ?? "Speaker", seat === this.ownSeat && shown !== "You" ? "you" : ""].filter(Boolean).join(" · ");
    person.mark.toggleAttribute("hidden", muted !== true);
    person.said.textContent = muted === true ? "muted" : "";
    this.#setEmpty("live");
  }

  #make(seat) {
    const make = (tag, name, parent) => {
      const element = this.#document.createElement(tag);
      element.className = name;
      parent?.append(element);
      return element;
    };
    const item = make("li", `person hue-${seat}`);
    const face = make("div", "face", item);
    const letters = make("div", "initials", face);
    letters.setAttribute("aria-hidden", "true");
    const mark = this.#document.createElementNS(SVG, "svg");
    mark.setAttribute("viewBox", "0 0 24 24");
    mark.setAttribute("class", "icon muted-mark");
    mark.setAttribute("aria-hidden", "true");
    const path = this.#document.createElementNS(SVG, "path");
    path.setAttribute("d", "M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3ZM6 11.5a6 6 0 0 0 12 0M12 17.5v3M4 4l16 16");
    mark.append(path);
    face.append(mark);
    const name = make("span", "name", item);
    const role = make("span", "role", item);
    const said = make("span", "unseen", item);
    return { item, initials: letters, mark, name, role, said, known: false, talking: false };
  }

  #remove(seat) {
    this.#people.get(seat)?.item.remove();
    this.#people.delete(seat);
  }

  #forget() {
    for (const seat of [...this.#people.keys()]) this.#remove(seat);
    this.#set("count", "");
    this.#get("recording").hidden = true;
  }

  #setEmpty(phase) {
    const element = this.#get("empty");
    element.hidden = this.#people.size > 0 || phase === "refused";
    if (phase !== "idle") this.#set("empty", phase === "live" ? "The stage is empty. Somebody will speak soon." : "");
  }

  #set(id, text) {
    const element = this.#get(id);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** The ring of one face: grows with loudness, and stays a moment after a word. */
function ring(person, level) {
  const strength = Math.min(1, Math.max(0, (FAINT - level) / (FAINT - LOUD)));
  person.strength = Math.max(strength, (person.strength ?? 0) * 0.75);
  person.item.style.setProperty("--level", person.strength.toFixed(2));
  const talking = person.strength > 0.12;
  if (talking === person.talking) return;
  person.talking = talking;
  person.item.toggleAttribute("data-talking", talking);
  if (person.said.textContent !== "muted") person.said.textContent = talking ? "speaking" : "";
}

function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join("");
}

const share = (part, whole) => (whole > 0 ? part / whole : 0);
const percent = (value) => `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
