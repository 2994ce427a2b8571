import { expect, test } from "vitest";
import { handleIn } from "@/parts/find-account";
import { changed, type Relation } from "@/state/relations";
import { areaPath, linePath, nearest, niceTop, placesOf, ticks } from "@/views/analytics/scale";
import { mayGive } from "@/views/communities/members";
import { banEnd } from "@/views/moderation/ban-form";
import { shares } from "@/views/posts/poll";
import { shownLink } from "@/views/posts/post-card";
import { searchAddress, searchable } from "@/views/search/query";
import { isOpen, orderLabel } from "@/views/tickets/order-state";

test("the top of a scale is a round number that everything fits below", () => {
  expect([0, 1, 3, 5, 7, 11, 99, 101, 4_300].map(niceTop)).toEqual([1, 1, 5, 5, 10, 20, 100, 200, 5_000]);
});

test("ticks are whole numbers: there is no half person", () => {
  for (const top of [1, 2, 5, 10, 20, 50, 200]) {
    const found = ticks(top);
    expect(found[0]).toBe(0);
    expect(found.at(-1)).toBe(top);
    expect(found.every(Number.isInteger)).toBe(true);
  }
  expect(ticks(10)).toEqual([0, 2, 4, 6, 8, 10]);
});

test("values become places: time to the right, people upwards, never out of the box", () => {
  const places = placesOf(
    [
      { at: 1_000, value: 0 },
      { at: 2_000, value: 5 },
      { at: 3_000, value: 20 },
    ],
    10,
    100,
    50,
  );
  expect(places).toEqual([
    { x: 0, y: 50 },
    { x: 50, y: 25 },
    { x: 100, y: 0 },
  ]);
  expect(linePath(places)).toBe("M0,50L50,25L100,0");
  expect(areaPath(places, 50)).toBe("M0,50L50,25L100,0L100,50L0,50Z");
  expect([nearest(places, 20), nearest(places, 80), nearest([], 5)]).toEqual([0, 2, -1]);
});

test("one value alone stands in the middle, none at all draws nothing", () => {
  expect(placesOf([{ at: 7, value: 1 }], 1, 100, 50)).toEqual([{ x: 50, y: 0 }]);
  expect([linePath([]), areaPath([], 50)]).toEqual(["", ""]);
});

test("an order is followed while it can change by itself", () => {
  const at = "2026-11-21T12:00:00Z";
  const now = Date.parse(at);
  expect(isOpen("held", at, now - 1)).toBe(true);
  expect(isOpen("held", at, now)).toBe(false);
  expect(orderLabel("held", at, now)).toBe("home.order_expired");
  expect((["accepted", "refund_due", "withdrawn"] as const).every((state) => isOpen(state, at, now))).toBe(true);
  expect((["paid", "released", "refunded"] as const).some((state) => isOpen(state, at, now - 1))).toBe(false);
});

test("shares of a poll without votes are nothing, not NaN", () => {
  expect(shares([0, 0])).toEqual([0, 0]);
  expect(shares([1, 0, 3, 1])).toEqual([20, 0, 60, 20]);
});

test("words without letters are not asked for; a handle may be meant with or without @", () => {
  expect([searchable("  tea   time "), searchable(" * @ "), searchable("")]).toEqual(["tea time", null, null]);
  expect([handleIn("@Ada"), handleIn("ada_1"), handleIn("tea time"), handleIn("x".repeat(16))]).toEqual([
    "ada",
    "ada_1",
    null,
    null,
  ]);
  expect(searchAddress(" a&b ", "food")).toBe("/search?q=a%26b&topic=food");
  expect(searchAddress(" ", "")).toBe("/search");
});

const STRANGER: Relation = {
  account: "1",
  followers: 3,
  following: false,
  follows_you: true,
  blocking: false,
  muting: false,
};

test("whoever blocks somebody follows them no more, nor is followed", () => {
  const follows = changed(STRANGER, "following", true);
  expect(follows).toMatchObject({ following: true, followers: 4 });
  expect(changed(follows, "following", true)).toBe(follows);
  expect(changed(follows, "blocking", true)).toMatchObject({
    following: false,
    follows_you: false,
    blocking: true,
    followers: 3,
  });
});

test("who may give which role in a community", () => {
  expect(mayGive("admin", "member")).toEqual(["admin", "moderator", "none"]);
  expect(mayGive("moderator", "member")).toEqual(["none"]);
  expect(mayGive("moderator", "admin")).toEqual([]);
  expect(mayGive("member", "member")).toEqual([]);
});

test("a ban ends after so many days, or never", () => {
  expect(banEnd(7, 0)).toBe("1970-01-08T00:00:00.000Z");
  expect(banEnd(0, 0)).toBeNull();
});

test("a link is shown as where it leads, never less than the host", () => {
  expect(shownLink("https://example.org/tides/2026?ref=spaces")).toBe("example.org/tides/2026");
  expect(shownLink("https://example.org/")).toBe("example.org");
  expect(shownLink("not a link")).toBe("not a link");
});
