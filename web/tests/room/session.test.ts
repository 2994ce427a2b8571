import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { playing } from "@/state/playing";
import type { SpaceView } from "@/state/space";
import { current, RoomSession } from "@/views/room/session";
import { type FakeAudio, fakeAudio } from "./fake-audio";
import recorded from "./recorded.json";
import { type FakeServer, fakeServer } from "./server";

const ME = recorded.sue.me;
const HOST = recorded.host.me;
const LISTENING = { urls: ["https://x"], certificate_sha256: null, token: "t", expires: "", notices: [] };
const seatOfMine = (muted: boolean) => ({
  ...LISTENING,
  role: "speaker",
  seat: 3,
  muted,
});

const said: string[] = vi.hoisted(() => []);
vi.mock("@/ui/toast", () => ({ toast: (text: string) => said.push(text) }));

let server: FakeServer;
let audio: FakeAudio;
let session: RoomSession;

function make(change: Partial<SpaceView> = {}): void {
  const view = { ...(recorded.sue.begin as unknown as SpaceView), ...change, id: "abc" };
  server = fakeServer(view);
  server.answer("POST /join", { ...LISTENING, role: "listener", seat: null, muted: true });
  session = new RoomSession("abc", ME, async () => (options) => {
    audio = fakeAudio(options);
    return audio;
  });
}

/** A version that is newer than the snapshot's. */
const next = (step = 1) => (session.state.peek()?.version ?? 0) + step;
const known = () => vi.waitFor(() => expect(session.state.value).not.toBeNull());
const taken = (what: string) => vi.waitFor(() => expect(audio.asked).toContain(what));

async function joined(change: Partial<SpaceView> = {}): Promise<void> {
  make(change);
  await known();
  await session.join();
}

/** On the stage, with a closed microphone. */
async function seated(): Promise<void> {
  await joined();
  server.answer("POST /join", seatOfMine(true));
  server.tell("speaker_added", next(), { account: ME, seat: 3, how: "request" });
  await taken("readmit speaker 3");
}

beforeEach(() => sessionStorage.clear());
afterEach(() => {
  session.close();
  // What is still on its way (names, for instance) finds nobody.
  vi.stubGlobal("fetch", () => new Promise(() => {}));
});

it("plays, and says so to the frame", async () => {
  await joined();
  expect(audio.asked).toEqual(["listen"]);
  expect(session.stay.value).toBe("inside");
  expect(current.value).toBe(session);
  expect(playing.value).toMatchObject({ space: "abc", title: "Tea", live: true });
});

it("says why it may not come in, and can be tried again", async () => {
  make();
  await known();
  server.answer("POST /join", "participant.removed", 403);
  await expect(session.join()).rejects.toMatchObject({ code: "participant.removed" });
  expect(session.stay.value).toBe("outside");
  expect(session.refusal.value).toBeTruthy();
  expect(playing.value).toBeNull();
});

it("asks for a new admission when it gets a seat, without opening the microphone", async () => {
  await seated();
  expect(audio.asked).not.toContain("speak true");
  expect(session.onAir.value).toBe(false);
});

it("opens the microphone before the server lets it be heard", async () => {
  await seated();
  server.asked.length = 0;
  const turned = session.toggleMic();
  server.tell("unmuted", next(), { account: ME });
  await turned;
  expect(audio.asked.slice(-2)).toEqual(["speak true", "mute false"]);
  expect(server.asked).toContain("POST /mic/unmute");
  expect(session.onAir.value).toBe(true);
});

it("stays silent if the server refuses to let it be heard", async () => {
  await seated();
  server.answer("POST /mic/unmute", "mic.closed", 409);
  await expect(session.toggleMic()).rejects.toMatchObject({ code: "mic.closed" });
  expect(audio.microphone.value.muted).toBe(true);
});

it("waits for the event of its own unmuting, which may come after the answer", async () => {
  // An event of something else in between closed the microphone again, and captions were not asked for.
  await seated();
  server.answer("POST /mic/unmute", { space: "abc", version: next(2), fence_group: null });
  const turned = session.toggleMic();
  await vi.waitFor(() => expect(server.asked).toContain("POST /mic/unmute"));
  server.tell("unmuted", next(), { account: HOST });
  server.tell("unmuted", next(), { account: ME });
  await turned;
  expect(audio.asked.at(-1)).toBe("mute false");
  expect(session.onAir.value).toBe(true);
});

it("stays silent when somebody muted us before the answer to the unmuting came", async () => {
  await seated();
  const turned = session.toggleMic();
  server.tell("unmuted", next(), { account: ME });
  server.tell("muted", next(), { account: ME, how: "by_host", by: HOST });
  await turned;
  expect(audio.microphone.value.muted).toBe(true);
});

it("is silent at once when somebody mutes us", async () => {
  await seated();
  const turned = session.toggleMic();
  server.tell("unmuted", next(), { account: ME });
  await turned;
  server.tell("muted", next(), { account: ME, how: "by_host", by: HOST });
  expect(audio.asked.at(-1)).toBe("mute true");
  expect(session.onAir.value).toBe(false);
});

it("closes the microphone when the seat is lost", async () => {
  await joined();
  server.tell("speaker_added", next(), { account: ME, seat: 3, how: "request" });
  server.tell("speaker_removed", next(), { account: ME, how: "revoked" });
  await taken("quiet");
});

it("mutes on the server when a page with an open microphone was loaded again", async () => {
  // Otherwise everybody would see a microphone that nobody can hear.
  make();
  await known();
  server.answer("POST /join", seatOfMine(false));
  await session.join();
  expect(server.asked).toContain(`POST /stage/${ME}/mute`);
});

it("is put out with everything when it is removed", async () => {
  await joined();
  server.tell("removed", next(), { account: ME, how: "removed" });
  expect(session.stay.value).toBe("out");
  expect(audio.asked.at(-1)).toBe("close");
  expect(playing.value).toBeNull();
});

it("stops at the end and asks for nothing more of the stage", async () => {
  await joined();
  server.tell("speaker_added", next(), { account: ME, seat: 3, how: "request" });
  await taken("readmit listener null");
  const before = server.asked.filter((what) => what === "POST /join").length;
  server.tell("ended", next(), { how: "host" });
  expect(audio.asked.at(-1)).toBe("close");
  expect(server.asked.filter((what) => what === "POST /join")).toHaveLength(before);
});

it("is out when the engine refuses, with the reason", async () => {
  await joined();
  audio.refusal.value = { code: "session.superseded", text: "elsewhere" };
  audio.phase.value = "refused";
  expect(session.stay.value).toBe("out");
  expect(session.refusal.value).toBeTruthy();
});

it("leaves when the device's own controls stop the sound", async () => {
  await joined();
  audio.phase.value = "idle";
  expect(session.stay.value).toBe("left");
});

it("takes a raised hand back when it was refused", async () => {
  await joined();
  server.answer("PUT /request", "requests.closed", 409);
  const raised = session.raiseHand(true);
  expect(session.state.value?.you.requested).not.toBeNull();
  await expect(raised).rejects.toMatchObject({ code: "requests.closed" });
  expect(session.state.value?.you.requested).toBeNull();
});

it("asks to speak only if the host does not follow us", async () => {
  await joined({ speak: "followed" });
  server.answer("PUT /mic", "stage.not_invited", 409);
  await session.raiseHand(true);
  expect(server.asked.slice(-2)).toEqual(["PUT /mic", "PUT /request"]);
});

it("comes back by itself after the page was loaded again", async () => {
  await joined();
  expect(session.returning).toEqual({ anonymous: false });
  await session.leave();
  expect(session.returning).toBeNull();
});

it("is somebody as soon as it was let in, though the server's answers lag behind the engine", async () => {
  const { you } = recorded.sue.begin as unknown as SpaceView;
  await joined({ you: { ...you, role: "outsider" } });
  expect(session.state.value?.you.role).toBe("listener");
  await session.feed.reload();
  expect(session.state.value?.you.role).toBe("listener");
});

it("is nobody any more once it was removed", async () => {
  const { you } = recorded.sue.begin as unknown as SpaceView;
  await joined({ you: { ...you, role: "outsider" } });
  server.tell("removed", next(), { account: ME });
  await vi.waitFor(() => expect(session.stay.value).toBe("out"));
  expect(session.state.value?.you.role).toBe("outsider");
});

it("mutes on the server a microphone that was lost in the middle of a talk, and says so", async () => {
  await seated();
  const turned = session.toggleMic();
  server.tell("unmuted", next(), { account: ME });
  await turned;
  expect(session.onAir.value).toBe(true);
  audio.microphone.value = { ...audio.microphone.value, state: "refused", trouble: "No microphone was found." };
  await vi.waitFor(() => expect(server.asked).toContain(`POST /stage/${ME}/mute`));
  expect(session.onAir.value).toBe(false);
  expect(said).toContain("No microphone was found.");
});

it("mutes and unmutes on the server too when a key of the device is pressed", async () => {
  await seated();
  const turned = session.toggleMic();
  server.tell("unmuted", next(), { account: ME });
  await turned;
  expect(session.onAir.value).toBe(true);
  audio.options.onMicrophoneKey?.(false);
  expect(server.asked).not.toContain(`POST /stage/${ME}/mute`);
  audio.options.onMicrophoneKey?.(true);
  await vi.waitFor(() => expect(server.asked).toContain(`POST /stage/${ME}/mute`));
});
