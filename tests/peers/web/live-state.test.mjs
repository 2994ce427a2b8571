// The `state` track as the page reads it: snapshots, counts that are newer, reactions of the moment.
import assert from "node:assert/strict";
import test from "node:test";
import { LiveState } from "../../../spaces_ctl/api/web/live-state.js";

const object = (group, number, value) => ({
  group,
  object: number,
  payload: new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)),
});
const counts = (named) => ({ named, anonymous: 1, guests: 0 });

test("counts follow the snapshot and stay when the next one has none", () => {
  const state = new LiveState();
  assert.deepEqual(state.take(object(3, 0, { title: "a", stage: [] })), { state: { title: "a", stage: [] } });
  const changed = state.take(object(3, 41, { counts: counts(5) }));
  assert.equal(changed.state.title, "a");
  assert.deepEqual(changed.state.counts, counts(5));
  const next = state.take(object(4, 0, { title: "b", listeners: 2 }));
  assert.deepEqual([next.state.title, next.state.counts.named, next.state.listeners], ["b", 5, undefined]);
});

test("reactions are told once, and change no roster", () => {
  const state = new LiveState();
  assert.deepEqual(state.take(object(1, 7, { counts: counts(1), reactions: [0, 2] })), { reactions: [0, 2] }, "before any snapshot");
  state.take(object(1, 0, { title: "a" }));
  const change = state.take(object(1, 8, { counts: counts(2), reactions: [1] }));
  assert.deepEqual(change.reactions, [1]);
  assert.equal(change.state.counts.named, 2);
});

test("what is old, or cannot be read, changes nothing", () => {
  const state = new LiveState();
  state.take(object(5, 0, { title: "a" }));
  for (const bad of [object(4, 0, { title: "old" }), object(6, 0, "{"), object(6, 0, "null"), object(6, 0, "7")]) {
    assert.equal(state.take(bad), null);
  }
  assert.equal(state.take(object(5, 3, { counts: counts(9) })).state.title, "a");
});
