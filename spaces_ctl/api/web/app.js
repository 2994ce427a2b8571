// The page: joins, plays and speaks through the worker and the worklets, and shows what is going on.

import { fetchJoin } from "./join.js";
import { missing } from "./wire/connect.js";
import { Room } from "./room.js";
import { Tap } from "./tap.js";

const query = new URLSearchParams(location.search);
const room = new Room(document);
const tap = query.has("tap") ? new Tap() : null;

let context = null;
let worker = null;
let volume = null;
let microphone = null; // {stream, source, node}
let muted = false;
let onStage = false;
let asking = false; // for the microphone

const text = {
  connecting: "Connecting…",
  reconnecting: "Connecting again…",
  onStage: () => (muted ? "You are muted." : "You are on stage: everybody hears you."),
  tooOld: (what) => `This browser cannot play a live Space: it lacks ${what}. A current Chrome, Edge or Firefox can.`,
};

/** What a failure to get the microphone means to somebody who has never heard of exceptions. */
const microphoneTrouble = {
  NotAllowedError: "The microphone was not allowed. Allow it for this page in the browser's address bar, then press Speak again.",
  NotFoundError: "No microphone was found. Plug one in, then press Speak again.",
  NotReadableError: "The microphone is in use by another program.",
};

async function listen() {
  room.phase("connecting", text.connecting);
  // In the click's own turn, or the browser will not let it play.
  context = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  const resumed = context.resume();
  await Promise.all(["player", "capture"].map((name) => context.audioWorklet.addModule(`audio/${name}-worklet.js`)));
  const player = new AudioWorkletNode(context, "spaces-player", {
    numberOfInputs: 0,
    outputChannelCount: [1],
    processorOptions: { tap: tap !== null },
  });
  volume = new GainNode(context, { gain: room.volume });
  player.connect(volume).connect(context.destination);

  worker = new Worker("engine-worker.js", { type: "module" });
  worker.onmessage = ({ data }) => fromWorker(data);
  worker.onerror = () => room.phase("refused", "The page could not start its audio engine. Reload it to try again.");
  const { port1, port2 } = new MessageChannel();
  player.port.postMessage({ port: port2 }, [port2]);
  player.port.onmessage = ({ data }) => {
    if (data.tap) tap?.take(data.tap);
    if (data.report) room.playing(data.report, (context.baseLatency + (context.outputLatency || 0)) * 1_000);
  };
  worker.postMessage({ start: { protocol: query.get("protocol") ?? undefined, query: location.search }, player: port1 }, [port1]);
  await resumed;
}

function leave(phase = "idle", notice = null) {
  worker?.postMessage({ stop: true });
  const old = worker;
  setTimeout(() => old?.terminate(), 500); // it says goodbye first
  worker = null;
  releaseMicrophone();
  context?.close();
  context = null;
  room.silence();
  room.phase(phase, notice);
}

function fromWorker(message) {
  if (message.stats) room.stats(message.stats);
  if (message.state) room.state(message.state);
  if (message.reactions) room.reactions(message.reactions);
  if (message.join) room.title(message.join.title);
  if (message.microphone) room.ownLevel(muted ? 127 : message.microphone.level);
  if (message.status) status(message.status);
}

function status({ phase, text: words, wait, seat, protocol }) {
  if (protocol) room.protocol(protocol);
  if (phase === "refused") return leave("refused", words);
  if (phase === "speechless") {
    stepDown();
    return room.notice(words, "warn");
  }
  if (phase === "waiting") return room.phase("waiting", `${words} Trying again${wait > 1_500 ? ` in ${Math.round(wait / 1_000)} seconds` : ""}…`);
  if (phase === "speaking") {
    room.ownSeat = seat;
    room.phase("live", text.onStage());
    return room.speaking(true, muted);
  }
  return room.phase(phase, phase === "reconnecting" ? text.reconnecting : words ?? null);
}

async function speak() {
  if (asking) return;
  asking = true;
  room.busySpeaking(true);
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
    const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    const node = new AudioWorkletNode(context, "spaces-capture", { numberOfInputs: 1, outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    source.connect(node).connect(context.destination); // its output is silence; connected, it keeps running
    microphone = { stream, source, node };
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ port: port2 }, [port2]);
    muted = false;
    onStage = true;
    worker.postMessage({ speak: { muted }, capture: port1 }, [port1]);
    room.notice("Taking a seat on the stage…");
    room.speaking(true, muted);
  } catch (error) {
    releaseMicrophone();
    room.notice(microphoneTrouble[error?.name] ?? `The microphone cannot be used: ${error?.message ?? error}`, "warn");
  } finally {
    asking = false;
    room.busySpeaking(false);
  }
}

function toggleMute() {
  muted = !muted;
  worker.postMessage({ mute: muted });
  room.speaking(true, muted);
  room.notice(text.onStage());
}

function stepDown() {
  worker?.postMessage({ quiet: true });
  releaseMicrophone();
  room.notice("You are listening.");
}

function releaseMicrophone() {
  microphone?.stream.getTracks().forEach((track) => track.stop());
  microphone?.source.disconnect();
  microphone?.node.disconnect();
  microphone = null;
  onStage = false;
  room.ownSeat = null;
  room.speaking(false, false);
}

room.on("listen", () => (worker ? leave() : listen().catch((error) => leave("refused", `Sound cannot be played: ${error.message}`))));
room.on("speak", () => (onStage ? toggleMute() : speak()));
room.on("step-down", stepDown);
room.onVolume((value) => volume && volume.gain.setTargetAtTime(value, context.currentTime, 0.02));
addEventListener("pagehide", () => worker?.postMessage({ stop: true }));
addEventListener("online", () => worker?.postMessage({ retry: true }));

const lacks = missing(globalThis);
if (lacks) {
  room.phase("refused", text.tooOld(lacks));
} else {
  room.ready();
  fetchJoin(location.search).then(
    ({ title }) => room.title(title),
    (error) => room.notice(error.message, "warn"),
  );
}

if (tap) globalThis.spaces = { tap: (seat) => tap.read(seat), seats: () => tap.seats(), counts: () => room.counters };
