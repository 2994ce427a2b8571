// The replay's page: an audio element with the waveform, who speaks, chapters. `?space=…` names the Space.

import { JoinError, ask, command } from "./join.js";
import { clock, describe } from "./replay-words.js";
import { Waveform } from "./waveform.js";

const element = (id) => document.getElementById(id);
const audio = element("audio");
const seek = element("seek");
const SKIP = 15;

const space = new URLSearchParams(location.search).get("space") ?? "";
const address = `/api/v1/spaces/${encodeURIComponent(space)}`;
const CANNOT = "This replay cannot be played";

let length = 0; // of the replay, in seconds
let people = []; // {item, spans}
let chapters = []; // {at, button}
let counted = false;

function notice(words) {
  element("notice").textContent = words;
  element("notice").hidden = !words;
}

function failed(error) {
  element("replay").dataset.phase = "refused";
  notice(error instanceof JoinError ? error.message : `${CANNOT}: ${error.message}`);
}

async function load() {
  if (!space) throw new JoinError("This link names no Space.");
  const replay = await ask(`${address}/replay`, { cache: "no-store" }, CANNOT);
  length = replay.duration_ms / 1_000;
  document.title = `${replay.title || "Replay"} · Spaces`;
  element("title").textContent = replay.title || "A Space";
  element("facts").textContent = describe(replay);
  element("duration").textContent = clock(length);
  seek.max = String(Math.floor(length));
  play(replay);
  download(replay);
  listChapters(replay.chapters);
  element("player").hidden = false;
  element("replay").dataset.phase = "ready";
  const [timeline, peaks] = await Promise.all([replay.urls.timeline, replay.urls.peaks].map((url) => ask(url, {}, CANNOT)));
  listPeople(timeline.people);
  const waveform = new Waveform(element("waveform"), peaks, length);
  const draw = () => waveform.draw(audio.currentTime);
  for (const name of ["timeupdate", "seeked"]) audio.addEventListener(name, draw);
  new ResizeObserver(draw).observe(element("waveform"));
  show();
}

/** Ogg Opus, else AAC: browsers take the first that they can. */
function play({ urls, title }) {
  const forms = [
    [urls.opus, "audio/ogg; codecs=opus"],
    [urls.m4a, "audio/mp4; codecs=mp4a.40.2"],
    [urls.hls, "application/vnd.apple.mpegurl"],
  ];
  for (const [src, type] of forms) {
    if (src) audio.append(Object.assign(document.createElement("source"), { src, type }));
  }
  audio.lastElementChild.addEventListener("error", () => notice("This browser cannot play the recording. It can be downloaded below."));
  if ("mediaSession" in navigator) navigator.mediaSession.metadata = new MediaMetadata({ title: title || "Replay", artist: "Spaces" });
}

function download({ urls, space: name }) {
  const files = [["Opus", urls.opus, "opus"], ["AAC", urls.m4a, "m4a"], ["Who speaks when", urls.timeline, "json"]];
  for (const [words, href, ending] of files) {
    if (!href) continue;
    const link = Object.assign(document.createElement("a"), { href, download: `space-${name}.${ending}`, textContent: words });
    element("downloads").appendChild(document.createElement("li")).append(link);
  }
}

function listPeople(turns) {
  people = turns.map(({ name, spans }) => {
    const item = document.createElement("li");
    item.textContent = name ?? "Somebody";
    element("people").append(item);
    return { item, spans };
  });
}

function listChapters(found) {
  chapters = found.map(({ at_ms, kind, text }) => {
    const button = document.createElement("button");
    button.type = "button";
    const at = Object.assign(document.createElement("time"), { textContent: clock(at_ms / 1_000) });
    const words = Object.assign(document.createElement("span"), {
      textContent: { speaker: `${text || "Somebody"} came to the stage`, poll: `Poll: ${text}`, post: `${text || "Somebody"} pinned a post` }[kind] ?? text,
    });
    button.append(at, words);
    button.addEventListener("click", () => go(at_ms / 1_000));
    element("chapters").appendChild(document.createElement("li")).append(button);
    return { at: at_ms / 1_000, button };
  });
  element("chapters-section").hidden = chapters.length === 0;
}

function go(seconds) {
  audio.currentTime = Math.min(Math.max(0, seconds), length);
  show();
}

/** What depends on where it plays. */
function show() {
  const at = audio.currentTime;
  element("position").textContent = clock(at);
  seek.value = String(Math.floor(at));
  seek.setAttribute("aria-valuetext", `${clock(at)} of ${clock(length)}`);
  for (const { item, spans } of people) {
    item.dataset.talking = String(spans.some(([from, to]) => at * 1_000 >= from && at * 1_000 < to));
  }
  const now = chapters.findLast((chapter) => chapter.at <= at);
  for (const chapter of chapters) chapter.button.setAttribute("aria-current", String(chapter === now));
}

/** Told once a visit, and not waited for. */
async function count() {
  if (counted) return;
  counted = true;
  const { you } = await ask(address, { cache: "no-store" }, CANNOT);
  await command("POST", `${address}/replay/plays`, undefined, you.role === "guest", CANNOT);
}

element("play").addEventListener("click", () => (audio.paused ? audio.play().catch(failed) : audio.pause()));
element("back").addEventListener("click", () => go(audio.currentTime - SKIP));
element("on").addEventListener("click", () => go(audio.currentTime + SKIP));
element("speed").addEventListener("change", ({ target }) => (audio.playbackRate = Number(target.value)));
seek.addEventListener("input", () => go(Number(seek.value)));
for (const name of ["play", "pause", "ended"]) {
  audio.addEventListener(name, () => {
    element("play").textContent = audio.paused ? "Play" : "Pause";
    element("play").setAttribute("aria-pressed", String(!audio.paused));
  });
}
audio.addEventListener("play", () => count().catch(() => {}));
for (const name of ["timeupdate", "seeked"]) audio.addEventListener(name, show);

load().catch(failed);
