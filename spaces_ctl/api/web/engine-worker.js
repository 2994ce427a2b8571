// The page's engine, off the main thread so that no layout or script of the page can make the sound stutter: session, decoding,
// encoding. Talks to app.js by messages and to the worklets by ports of their own.
//
// In:  {start: {protocol, query}, player: port}   {speak: {muted}, capture: port}   {mute: bool}   {react: index}   {quiet: true}
//      {stop: true}
// Out: {status: {phase, text?, seat?}}   {state: object}   {reactions: [n, …]}   {stats: object}   {microphone: {level}}

import { ConnectError, connect } from "./wire/connect.js";
import { Publication } from "./wire/session.js";
import { LiveState } from "./live-state.js";
import { Listener } from "./listener.js";
import { Microphone } from "./audio/microphone.js";
import { JoinError, fetchJoin, fetchSeat } from "./join.js";
import { explain } from "./words.js";

/** Longest wait between two attempts, in ms. */
const LONGEST_WAIT = 15_000;
/** A session that has lasted this long was a good one: the next attempt is quick again. */
const GOOD = 10_000;
const STATS_EVERY = 1_000;

let options = null;
let listener = null;
let session = null;
let stopped = false;
let seat = null; // {seat, token}: the seat that we hold
let publication = null;
let microphone = null;
let space = null; // the Space's name, once joined
let reacting = null; // {session, track, waiting}: our reactions on this session
let wake = () => {};
let move = () => {};
let hurry = false; // the session is to be replaced at once

self.onmessage = ({ data }) => {
  if (data.start) start(data.start, data.player);
  else if (data.speak) speak(data.speak, data.capture);
  else if ("mute" in data && microphone) microphone.muted = data.mute;
  else if ("react" in data) react(data.react);
  else if (data.quiet) quiet();
  else if (data.retry) wake();
  else if (data.stop) stop();
};

function say(phase, details = {}) {
  self.postMessage({ status: { phase, ...details } });
}

function start(given, player) {
  options = given;
  listener = new Listener((frame) => player.postMessage(frame, [frame.pcm.buffer]));
  setInterval(() => self.postMessage({ stats: listener.stats() }), STATS_EVERY);
  stayConnected();
}

function stop() {
  stopped = true;
  wake();
  session?.close(0, "left");
  microphone?.close();
  listener?.close();
}

/** Connects, again and again, with growing and random waits, until told to stop or told that there is no point. */
async function stayConnected() {
  for (let attempt = 0; !stopped; attempt++) {
    if (!session) say(attempt === 0 ? "connecting" : "reconnecting");
    const began = performance.now();
    let reason = "";
    try {
      reason = await oneSession();
    } catch (error) {
      const known = error instanceof ConnectError || error instanceof JoinError;
      reason = known ? error.message : `Something went wrong: ${error?.message ?? error}`;
      if (known && !error.retry) return say("refused", { text: reason });
    }
    if (stopped) return;
    if (hurry || performance.now() - began > GOOD) attempt = 0;
    if (hurry) {
      hurry = false;
      continue;
    }
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
    say("waiting", { text: reason, wait: Math.round(wait) });
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, wait);
    });
  }
}

/**
 * One session from its first byte to its last, or to the moment at which another shall take over: the old one is then closed only
 * when the new one brings sound, and bundles that come twice count once. Resolves with the reason of its end in plain words.
 */
async function oneSession() {
  const join = await fetchJoin(options.query);
  seat ??= join.seat ?? null;
  space = join.space;
  self.postMessage({ join: { title: join.title, space: join.space } });
  const moved = new Promise((resolve) => (move = () => resolve(null)));
  const opened = await connect({
    url: join.url,
    token: seat?.token ?? join.token,
    certificate: join.certificate_sha256_hex,
    protocol: options.protocol,
    onGoAway: () => reopen(),
  });
  const before = session;
  session = opened;
  if (!before) listener.reconnected();
  const heard = listen(opened, ["spaces", join.space]);
  if (microphone && seat) publish(opened, join.space);
  heard.then(() => before?.close(0, "moved on")).catch(() => {});
  const end = await Promise.race([opened.closed(), moved]);
  if (end === null) return "";
  if (opened === session) session = null;
  before?.close();
  const { text, retry } = explain(end.closeCode === null ? "" : end.reason);
  if (!retry) throw new ConnectError(text, { retry });
  return text;
}

/** Opens another session beside this one, now. */
function reopen() {
  hurry = session !== null;
  move();
  wake();
}

/** Subscribes to all that the page shows and plays. Resolves once the stage is accepted. */
function listen(opened, namespace) {
  return new Promise((resolve, reject) => {
    const onStage = (object) => listener.object(object, performance.now());
    const accepted = () => {
      say(publication?.wanted ? "speaking" : "live", { protocol: opened.protocol, seat: seat?.seat });
      resolve();
    };
    let wanted = false;
    const refused = (error) => {
      wanted = true;
      if (opened === session) say("unavailable", { text: error?.message ? `The Space is not live: ${error.message}.` : "The Space is not live." });
    };
    const stage = () => {
      wanted = false;
      opened.subscribe(namespace, "stage", { priority: 200, onAccepted: accepted, onObject: onStage, onEnd: refused });
    };
    stage();
    // A Space that is not live yet, or again, is announced when it is.
    const path = namespace.join("/");
    opened.watch(namespace, (announced, live) => live && wanted && announced.join("/") === path && stage()).catch(() => {});
    opened.subscribe(namespace, "stage.1", { priority: 190, onObject: onStage });
    const live = new LiveState();
    const onState = (object) => {
      const change = live.take(object);
      if (change?.state) self.postMessage({ state: change.state });
      if (change?.reactions) self.postMessage({ reactions: change.reactions });
    };
    opened.subscribe(namespace, "state", { priority: 100, onObject: onState });
    opened.closed().then(reject);
  });
}

/** Takes a seat and publishes the microphone on it. The seat's token needs a session of its own, which replaces this one. */
async function speak({ muted }, capture) {
  try {
    microphone = new Microphone(
      (sequence, payload) => publication && session?.send(publication, sequence, payload),
      (level) => self.postMessage({ microphone: { level } }),
    );
    microphone.muted = muted;
    microphone.wanted = () => publication?.wanted === true;
    await microphone.open();
    capture.onmessage = ({ data }) => microphone?.take(data);
    if (!seat) {
      seat = await fetchSeat(options.query);
      reopen();
    } else if (session) {
      publish(session, (await fetchJoin(options.query)).space);
    }
  } catch (error) {
    microphone?.close();
    microphone = null;
    say("speechless", { text: error instanceof JoinError ? error.message : `The microphone cannot be sent: ${error?.message ?? error}` });
  }
}

function publish(on, space) {
  const publishing = new Publication(["spaces", space, "seat", String(seat.seat)], "audio", 960, (wanted) => {
    if (publication === publishing) say(wanted ? "speaking" : "live", { seat: seat?.seat });
  });
  publication = publishing;
  on.publish(publishing).catch((error) => say("speechless", { text: `The server refused your voice: ${error?.message ?? error}.` }));
}

/** Reacts with the kind `index`: published on `spaces/<id>/me`, announced with the first one of a session. */
function react(index) {
  if (!session || !space) return;
  if (reacting?.session !== session) {
    const own = session;
    const track = new Publication(["spaces", space, "me"], "reactions", 960, (wanted) => wanted && flush());
    reacting = { session: own, track, waiting: [] };
    own.publish(track).catch(() => {}); // the session is over: the next reaction begins anew
  }
  if (reacting.waiting.length < 16) reacting.waiting.push(index);
  flush();
}

function flush() {
  if (!reacting?.track.wanted) return;
  for (const index of reacting.waiting.splice(0)) reacting.session.send(reacting.track, reacting.track.nextGroup, Uint8Array.of(index));
}

/** Leaves the seat: back to listening. */
async function quiet() {
  microphone?.close();
  microphone = null;
  const ending = publication;
  publication = null;
  if (!seat) return; // it was never given
  seat = null;
  if (ending) await session?.unpublish(ending);
  reopen();
}
