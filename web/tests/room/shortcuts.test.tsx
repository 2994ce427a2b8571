// Keys of the room, from its first moment.
import { render } from "preact";
import { expect, it } from "vitest";
import { type Shortcut, useShortcuts } from "@/views/room/shortcuts";

it("takes a key that is pressed before the first paint", () => {
  const done: Shortcut[] = [];
  const act = (shortcut: Shortcut) => done.push(shortcut);
  const Room = () => {
    useShortcuts(act);
    return <p>A room</p>;
  };
  const place = document.createElement("div");
  render(<Room />, place);
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "m" }));
  render(null, place);
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "m" }));
  expect(done).toEqual(["mic"]);
});
