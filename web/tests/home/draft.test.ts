import { beforeEach, expect, test } from "vitest";
import { ApiError, type Schema } from "@/api/client";
import { useLanguage } from "@/i18n";
import { decimals, minorUnits, money } from "@/parts/money";
import { creation, draftOf, edition, emptyDraft, localInput, placed, troubles } from "@/views/create/draft";

const RULES = { max_title: 70, max_description: 400, max_topics: 3, horizon_days: 30 };
const NOW = Date.UTC(2026, 10, 21, 12);
const DAY = 86_400_000;
const later = (ms: number) => ({ ...emptyDraft("en"), scheduled: true, at: localInput(NOW + ms) });

beforeEach(() => useLanguage("en"));

test("an empty draft is a Space for now, as the product's defaults say", () => {
  const draft = emptyDraft("en");
  expect(troubles(draft, RULES, NOW)).toEqual({});
  expect(creation(draft)).toMatchObject({
    speak: "invited",
    record: false,
    clips: true,
    captions: true,
    community: null,
    ticketing: null,
    scheduled_start: null,
  });
});

test("letters are counted as the server counts them: by code points", () => {
  const most = { ...emptyDraft("en"), title: "🌊".repeat(70) };
  expect(troubles(most, RULES, NOW)).toEqual({});
  expect(troubles({ ...most, title: `${most.title}!` }, RULES, NOW).title).toBe("At most 70 characters.");
});

test("a start lies ahead, and not too far", () => {
  expect(troubles(later(60_000), RULES, NOW)).toEqual({});
  expect(troubles(later(30 * DAY), RULES, NOW)).toEqual({});
  expect(troubles(later(-60_000), RULES, NOW).at).toBe("That is in the past.");
  expect(troubles(later(30 * DAY + 60_000), RULES, NOW).at).toBe("At most 30 days ahead.");
  expect(troubles({ ...later(0), at: "" }, RULES, NOW).at).toBe("Choose day and time.");
});

test("a start that was set before and has passed is no trouble while it stays", () => {
  const draft = later(-60_000);
  expect(troubles(draft, RULES, NOW, draft.at)).toEqual({});
});

test("local time goes to the server as UTC and comes back as the same local time", () => {
  const draft = later(3 * DAY);
  expect(creation(draft).scheduled_start).toBe(new Date(NOW + 3 * DAY).toISOString());
  const view = { ...VIEW, scheduled_start: new Date(NOW + 3 * DAY).toISOString() };
  expect(draftOf(view).at).toBe(draft.at);
});

test("amounts are whole numbers of the smallest unit of their currency", () => {
  expect([decimals("EUR"), decimals("JPY")]).toEqual([2, 0]);
  expect(minorUnits("4.50", "EUR")).toBe(450);
  expect(minorUnits("4,5", "EUR")).toBe(450);
  expect(minorUnits("500", "JPY")).toBe(500);
  for (const wrong of ["", "4.505", "-1", "1e3", "4.", "1,000.00"]) expect(minorUnits(wrong, "EUR")).toBeNull();
  expect(minorUnits("4.5", "JPY")).toBeNull();
  expect(money(450, "EUR", "en")).toBe("€4.50");
});

test("tickets need a price and a number", () => {
  const draft = { ...emptyDraft("en"), ticketed: true, price: "0", quantity: "0" };
  expect(Object.keys(troubles(draft, RULES, NOW))).toEqual(["price", "quantity"]);
  const right = { ...draft, price: "3", quantity: "20" };
  expect(troubles(right, RULES, NOW)).toEqual({});
  expect(creation(right).ticketing).toEqual({ price_minor: 300, currency: "EUR", quantity: 20 });
});

test("an edition says what differs, and nothing if nothing does", () => {
  const was = draftOf(VIEW);
  expect(edition(was, was)).toBeNull();
  expect(edition({ ...was, title: " Tea ", topics: ["food"] }, was)).toEqual({
    title: "Tea",
    description: null,
    topics: ["food"],
    scheduled_start: null,
  });
});

test("a refusal stands beside the field that it is about, otherwise above all", () => {
  const draft = emptyDraft("en");
  const field = { where: "body", pointer: "/ticketing/quantity", detail: "too many" };
  const refused = new ApiError("request.invalid", 422, "The request is not valid.", null, [field]);
  expect(placed(refused, draft)).toEqual({ beside: { quantity: "too many" }, rest: null });
  const quota = new ApiError("schedule.quota", 422, "There are as many scheduled Spaces as may be.");
  expect(placed(quota, draft).beside.at).toContain("scheduled");
  const live = new ApiError("account.live_banned", 403, "The account is banned from live features.");
  expect(placed(live, draft)).toEqual({ beside: {}, rest: expect.stringContaining("banned") });
});

const VIEW = {
  status: "scheduled",
  title: "Harbours",
  description: "",
  topics: ["science"],
  lang: "en",
  speak: "invited",
  requests_open: true,
  record: false,
  clips: true,
  captions: true,
  community: null,
  ticketing: null,
  scheduled_start: new Date(NOW + DAY).toISOString(),
} as unknown as Schema<"SpaceView">;
