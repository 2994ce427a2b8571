// The page's jitter buffer and playout under a made-up network and made-up time.
import assert from "node:assert/strict";
import test from "node:test";
import { Continuation, lengthen, shorten } from "../../../spaces_ctl/api/web/audio/conceal.js";
import { Arrivals, SeatQueue } from "../../../spaces_ctl/api/web/audio/jitter.js";
import { Playout } from "../../../spaces_ctl/api/web/audio/playout.js";

/** A repeatable stand-in for chance (mulberry32). */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Something like a vowel: a gliding pitch with harmonics. */
const voice = (at) => {
  const phase = (2 * Math.PI * (140 * at + 300 * Math.sin(at / 20_000) * 10)) / 48_000;
  return 0.3 * Math.sin(phase) + 0.15 * Math.sin(2 * phase) + 0.1 * Math.sin(3 * phase + 1);
};
const frameOf = (group, sound = voice) => Float32Array.from({ length: 960 }, (_, i) => sound(group * 960 + i));

/**
 * Plays `groups` of one seat through queue and playout. `fate(group)` gives the frame's network delay in ms, or null if it is
 * lost. The decoder takes no time. Returns what was heard and the machinery.
 */
function play({ groups, fate, first = 0, flags = () => ({}), drift = 0, sound = voice }) {
  const arrivals = new Arrivals();
  const queue = new SeatQueue();
  const playout = new Playout();
  const events = [];
  for (let group = first; group < first + groups; group++) {
    const delay = fate(group);
    if (delay !== null) events.push([group * 20 * (1 + drift) + 1_000 + delay, group]);
  }
  events.sort(([a], [b]) => a - b);
  const heard = [];
  const quantum = new Float32Array(480);
  let newest = -1;
  let wait = null;
  const feed = (now) => {
    const taken = queue.take(now, (group) => arrivals.due(group) - 12);
    wait = taken.wait;
    for (const frame of taken.frames) playout.receive({ ...frame, pcm: frameOf(frame.group, sound), target: arrivals.target() });
  };
  const end = 1_000 + (first + groups) * 20 + 1_500;
  for (let now = 1_000 + first * 20; now < end; now += 10) {
    while (events.length > 0 && events[0][0] <= now) {
      const [at, group] = events.shift();
      const behind = group > newest ? arrivals.arrive(group, at) : arrivals.behind(group, at);
      newest = Math.max(newest, group);
      queue.push({ seat: 0, group, level: 30, start: group === first, end: group === first + groups - 1, behind, ...flags(group) });
      feed(at);
    }
    if (wait !== null && now >= wait) feed(now);
    playout.render(quantum);
    heard.push(...quantum);
  }
  return { heard, arrivals, queue, playout };
}

/** Milliseconds with (almost) no sound between the first and the last sound. */
function holes(heard) {
  const loud = [];
  for (let at = 0; at + 480 <= heard.length; at += 480) {
    loud.push(heard.slice(at, at + 480).reduce((sum, x) => sum + x * x, 0) / 480 > 1e-4);
  }
  const sounding = loud.slice(loud.indexOf(true), loud.lastIndexOf(true) + 1);
  return sounding.filter((is) => !is).length * 10;
}
/** The largest step from one sample to the next between the first sound and the last: a click shows as one. */
function roughness(heard) {
  let most = 0;
  const last = heard.findLastIndex((x) => x !== 0);
  for (let i = heard.findIndex((x) => x !== 0) + 1; i <= last; i++) most = Math.max(most, Math.abs(heard[i] - heard[i - 1]));
  return most;
}
const smooth = roughness(Array.from({ length: 96_000 }, (_, i) => voice(i)));

test("a quiet network is played as it came, soon", () => {
  const { heard, arrivals, playout } = play({ groups: 300, fate: () => 5 });
  const begin = heard.findIndex((x) => x !== 0);
  assert.ok(begin <= 70 * 48, `begins after ${begin / 48} ms`);
  assert.equal(arrivals.target(), 40);
  assert.equal(holes(heard), 0);
  assert.ok(roughness(heard) < smooth * 1.3);
  assert.equal(playout.counts.concealed, 0);
});

test("40 ms of jitter: the delay grows to cover it and next to nothing is lost", () => {
  const random = chance(1);
  const { heard, arrivals, queue, playout } = play({ groups: 1_500, fate: () => 5 + 40 * random() });
  assert.ok(arrivals.target() >= 55 && arrivals.target() <= 80, `target ${arrivals.target()}`);
  assert.ok(queue.counts.lost + queue.counts.late <= 15, JSON.stringify(queue.counts));
  assert.equal(holes(heard), 0);
  assert.ok(playout.counts.concealed <= 60, JSON.stringify(playout.counts));
  assert.ok(Math.abs(playout.offTarget) < 15);
});

test("when jitter ends, the delay comes back by skipping single periods", () => {
  const random = chance(2);
  const { arrivals, playout } = play({ groups: 3_000, fate: (group) => (group < 600 ? 5 + 150 * random() : 5) });
  assert.ok(arrivals.target() <= 50, `target ${arrivals.target()}`);
  assert.ok(playout.counts.shortened > 5);
  assert.ok(Math.abs(playout.offTarget) < 15, `off by ${playout.offTarget}`);
});

test("a tenth of all packets lost: no clicks, next to no silence, the loss is counted", () => {
  const random = chance(3);
  let lost = 0;
  const { heard, queue, playout } = play({ groups: 1_000, fate: (group) => (group > 5 && group < 990 && random() < 0.1 ? ((lost += 1), null) : 5) });
  assert.equal(queue.counts.lost, lost);
  // Two blocks a frame; where several are lost in a row the playhead may wait a block for what comes next.
  assert.ok(playout.counts.concealed >= 2 * lost && playout.counts.concealed <= 2.2 * lost, `${playout.counts.concealed} for ${lost}`);
  assert.ok(holes(heard) <= 20, `${holes(heard)} ms of holes`); // four in a row outlast what may be invented
  assert.ok(roughness(heard) < 3 * smooth, `${roughness(heard)} against ${smooth}`);
});

test("reordering is put right and nothing counts as lost", () => {
  const { heard, queue } = play({ groups: 500, fate: (group) => (group % 7 === 3 ? 26 : 5) });
  assert.equal(queue.counts.lost, 0);
  assert.equal(queue.counts.late, 0);
  assert.equal(holes(heard), 0);
});

test("DTX is silence, not loss: nothing is concealed across a marked pause", () => {
  const flags = (group) => ({ start: group === 0 || group === 200, end: group === 99 || group === 299 });
  const { queue, playout, heard } = play({ groups: 300, fate: (group) => (group >= 100 && group < 200 ? null : 5), flags });
  assert.equal(queue.counts.lost, 0);
  assert.equal(playout.counts.concealed, 0);
  assert.ok(Math.abs(holes(heard) - 2_000) <= 40, `the pause lasts ${holes(heard)} ms`);
});

test("the same jump without a mark is loss: it fades out and is counted", () => {
  const { queue, playout } = play({ groups: 300, fate: (group) => (group >= 100 && group < 110 ? null : 5) });
  assert.equal(queue.counts.lost, 10);
  assert.ok(playout.counts.concealed > 0 && playout.counts.concealed <= 20);
});

test("a stalled network is waited for, and what it held back is played", () => {
  const stall = (group) => (group >= 200 && group < 206 ? 5 + (206 - group) * 20 : 5);
  const { heard, queue, playout } = play({ groups: 500, fate: stall });
  assert.equal(queue.counts.lost, 0);
  assert.ok(playout.counts.dry >= 1);
  assert.ok(playout.counts.late <= 1, JSON.stringify(playout.counts));
  assert.ok(holes(heard) <= 60, `${holes(heard)} ms of holes`);
});

test("a burst of old packets is skipped to the newest", () => {
  const { playout } = play({ groups: 600, fate: (group) => (group < 64 ? 5 + (64 - group) * 20 : 5) });
  assert.ok(playout.counts.jumps + playout.counts.shortened > 0);
  assert.ok(Math.abs(playout.offTarget) < 15, `off by ${playout.offTarget} ms`);
});

test("a clock that runs 200 ppm off, for four minutes, neither starves nor swells", () => {
  for (const drift of [200e-6, -200e-6]) {
    const { playout, queue, heard } = play({ groups: 12_000, fate: () => 5, drift, sound: (at) => 0.3 * Math.sin((2 * Math.PI * 200 * at) / 48_000) });
    assert.ok(Math.abs(playout.offTarget) < 15, `off by ${playout.offTarget} ms`);
    assert.equal(queue.counts.lost + playout.counts.late, 0);
    assert.equal(holes(heard), 0);
    assert.ok(playout.counts[drift > 0 ? "lengthened" : "shortened"] > 0);
  }
});

test("two seats are mixed on one timeline, and loud ones do not clip", () => {
  const playout = new Playout();
  const loud = new Float32Array(960).fill(0.7);
  for (let group = 0; group < 10; group++) for (const seat of [1, 2]) playout.receive({ seat, group, pcm: loud.slice(), level: 3, end: false, behind: 0, target: 40 });
  const out = new Float32Array(960 * 8);
  playout.render(out);
  const top = Math.max(...out);
  assert.ok(top > 0.9 && top < 1, `${top}`);
  assert.deepEqual(playout.levels().map(([seat]) => seat), [1, 2]);
});

test("repetitions and packets from before the playhead change nothing", () => {
  const queue = new SeatQueue();
  const frame = (group, more) => ({ group, start: false, end: false, ...more });
  queue.push(frame(5, { start: true }));
  assert.deepEqual(queue.take(0, () => 0).frames.map(({ group }) => group), [5]);
  queue.push(frame(5, { redundant: true }));
  queue.push(frame(4));
  queue.push(frame(6));
  queue.push(frame(6));
  assert.deepEqual(queue.take(0, () => 0).frames.map(({ group }) => group), [6]);
  assert.deepEqual(queue.counts, { played: 2, lost: 0, late: 1, repeated: 2 });
});

test("a period more or less keeps the pitch and makes no click", () => {
  const sound = Float32Array.from({ length: 1440 }, (_, i) => 0.4 * Math.sin((2 * Math.PI * 150 * i) / 48_000));
  const steepest = roughness([...sound]);
  const shorter = shorten(sound, 480, 960);
  const longer = lengthen(sound, 480, 240);
  assert.equal(shorter.length, 1440 - 320);
  assert.equal(longer.length, 1440 + 320);
  for (const changed of [shorter, longer]) assert.ok(roughness([...changed]) < steepest * 1.2);
  const random = chance(4);
  assert.equal(shorten(Float32Array.from({ length: 1440 }, () => random() - 0.5), 480, 960), null);
});

test("a voice goes on for a moment and then is still", () => {
  const going = new Continuation();
  going.heard(frameOf(0));
  going.heard(frameOf(1));
  const out = new Float32Array(4_800);
  going.invent(out);
  assert.ok(Math.abs(out[0] - voice(1920)) < 0.1);
  assert.ok(out.subarray(0, 480).reduce((sum, x) => sum + x * x, 0) > 5);
  assert.ok(out.subarray(3_400).every((x) => x === 0));
  assert.equal(going.spent, true);
});
