import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import type { ComponentChildren } from "preact";
import { LocationProvider } from "preact-iso";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError, type Schema } from "@/api/client";
import { useLanguage } from "@/i18n";
import { Refused } from "@/parts/refused";
import { SpaceCard } from "@/parts/space-card";
import { learn } from "@/state/profiles";
import { account } from "@/state/session";
import { topics } from "@/state/topics";
import { TopicPicker } from "@/views/create/topic-picker";
import { Poll } from "@/views/posts/poll";

const asked: Request[] = [];
let answers: Record<string, unknown> = {};

beforeEach(async () => {
  await useLanguage("en");
  asked.length = 0;
  answers = {};
  account.value = null;
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const request = input instanceof Request ? input : new Request(new URL(input, location.href));
    asked.push(request);
    const { pathname } = new URL(request.url);
    return Response.json(answers[pathname] ?? { code: "resource.not_found" }, {
      status: answers[pathname] ? 200 : 404,
    });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const show = (children: ComponentChildren) => render(<LocationProvider>{children}</LocationProvider>);

const person = (id: string, name: string): Schema<"ProfileView"> => ({
  id,
  handle: name.toLowerCase(),
  name,
  picture: "",
  protected: false,
});

const LINE: Schema<"SpaceLine"> = {
  id: "9JqkZbCx3Gq",
  status: "live",
  title: "Tea at ten",
  description: "",
  topics: ["food"],
  lang: "en",
  creator: "11",
  hosts: ["11", "12"],
  speakers: ["13", "14"],
  community: null,
  ticketed: true,
  record: true,
  replay_available: false,
  participants: 1200,
  subscribers: 0,
  scheduled_start: null,
  started: "2026-11-21T12:00:00Z",
  ended: null,
};

test("a live card says who, how many, and that it is recorded, in words too", () => {
  topics.value = [{ id: "food", name: "Food", description: "" }];
  learn(person("11", "Ada"), person("12", "Bo"), person("13", "Cy"), person("14", "Di"));
  show(<SpaceCard space={LINE} />);
  expect(screen.getByRole("heading", { level: 2 }).textContent).toBe("Tea at ten");
  expect(screen.getByRole("link", { name: "Tea at ten" }).getAttribute("href")).toBe("/s/9JqkZbCx3Gq");
  expect(screen.getByText("1,200 listening")).toBeTruthy();
  expect(screen.getByText("This Space is recorded")).toBeTruthy();
  expect(screen.getByText("Tickets")).toBeTruthy();
  expect(screen.getByText("Bo, Cy, and 1 more")).toBeTruthy();
  expect(screen.getByRole("link", { name: "Food" }).getAttribute("href")).toBe("/topics/food");
});

test("a card without a title is its host's Space; its own host edits instead of being reminded", async () => {
  learn(person("11", "Ada"));
  const scheduled = { ...LINE, status: "scheduled" as const, title: "", scheduled_start: "2026-11-22T12:00:00Z" };
  const { unmount } = show(<SpaceCard space={scheduled} />);
  expect(screen.getByRole("link", { name: "Ada’s Space" })).toBeTruthy();
  expect(screen.getByRole("button", { name: "Remind me" }).getAttribute("aria-pressed")).toBe("false");
  unmount();
  account.value = { id: "11" } as Schema<"OwnAccount">;
  show(<SpaceCard space={scheduled} />);
  expect(screen.queryByRole("button", { name: "Remind me" })).toBeNull();
  expect(screen.getByRole("link", { name: "Edit" }).getAttribute("href")).toBe("/s/9JqkZbCx3Gq/edit");
});

test("no more topics than may be can be chosen; one that is chosen can be taken back", () => {
  topics.value = ["food", "music", "news"].map((id) => ({ id, name: id, description: "" }));
  const change = vi.fn();
  show(<TopicPicker chosen={["food", "gone"]} most={2} onChange={change} />);
  const button = (name: string) => screen.getByRole("button", { name }) as HTMLButtonElement;
  expect([button("music").disabled, button("news").disabled]).toEqual([true, true]);
  expect(button("food").disabled).toBe(false);
  // A topic that left the catalogue is still shown, and can be taken off.
  fireEvent.click(button("gone"));
  expect(change).toHaveBeenCalledWith(["food"]);
  expect(screen.getByText("2 of 2 chosen")).toBeTruthy();
});

const POST: Schema<"PostView"> = {
  id: "5",
  author: "11",
  text: "tea?",
  link: null,
  poll: [
    { text: "yes", votes: 1 },
    { text: "no", votes: 0 },
  ],
  voted: null,
  reply_to: null,
  space: null,
  clip: null,
  created: "2026-11-21T12:00:00Z",
};

test("a poll shows counts only after one's own vote, and that vote", async () => {
  account.value = { id: "12" } as Schema<"OwnAccount">;
  answers["/api/v1/me/csrf"] = { token: "x" };
  answers["/api/v1/posts/5/vote"] = { ...POST, voted: 1, poll: [POST.poll?.[0], { text: "no", votes: 1 }] };
  show(<Poll post={POST} />);
  expect(screen.queryByText("1 vote")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "no" }));
  await waitFor(() => expect(screen.getByRole("status").textContent).toBe("2 votes"));
  expect(screen.getByText("Your vote")).toBeTruthy();
  const vote = asked.find((one) => one.url.endsWith("/posts/5/vote"));
  expect(await vote?.json()).toEqual({ option: 1 });
});

test("guests see a poll's counts and cannot vote", () => {
  show(<Poll post={POST} />);
  expect(screen.queryByRole("button")).toBeNull();
  expect(screen.getByRole("status").textContent).toBe("1 vote");
});

test("a refusal says what can be done: sign in and come back, appeal, go home, or try again", () => {
  const cases: [ApiError, string, string | null][] = [
    [new ApiError("auth.token_missing", 401, "Sign in first."), "Sign in", "/sign-in?next="],
    [new ApiError("account.live_banned", 403, "Banned."), "Appeal", "/appeal"],
    [new ApiError("space.not_found", 404, "There is no such Space."), "To the start page", "/"],
  ];
  for (const [error, name, href] of cases) {
    const { unmount } = show(<Refused error={error} onRetry={() => {}} />);
    expect(screen.getByRole("link", { name }).getAttribute("href")).toContain(href);
    expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
    unmount();
  }
  const again = vi.fn();
  show(<Refused error={new ApiError("store.unavailable", 503, "The database does not answer.")} onRetry={again} />);
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(again).toHaveBeenCalledOnce();
});
