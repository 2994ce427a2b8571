// @vitest-environment node
// Staying connected, in virtual time, over transports in memory.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Admission, Connection, type ConnectionStatus } from "@/live/connection";
import { type Address, ConnectError } from "@/live/transport";
import { MemoryTransport, utf8 } from "./bytes-for-tests";

const HOUR = 3_600_000;
const given: Admission = { urls: ["https://a/"], token: "t", certificate: null, expires: 0, seat: null };

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A connection whose attempts go as `fates` say: a transport, or an error. */
function joined(fates: (MemoryTransport | Error)[], admission: Partial<Admission> = {}) {
  const statuses: ConnectionStatus[] = [];
  const groups: number[] = [];
  const wanted: string[] = [];
  const asked: Address[] = [];
  const log = { forgot: 0, admitted: 0 };
  const connection = new Connection(
    {
      space: "demo",
      origin: "https://page",
      protocol: "moq-lite-05",
      choice: {
        open: async (address, signal) => {
          asked.push(address);
          const fate = fates.shift();
          if (fate instanceof Error) throw fate;
          if (fate) return fate;
          return new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(new ConnectError("Given up."))),
          );
        },
        forget: () => {
          log.forgot += 1;
        },
      },
      admit: async () => {
        log.admitted += 1;
        return { ...given, token: "fresh", expires: Date.now() + HOUR };
      },
      onStatus: (status) => statuses.push(status),
      onBundle: ({ group }, tier) => groups.push(tier === "mix" ? -group : group),
      onWanted: (tier) => {
        if (wanted.at(-1) !== tier) wanted.push(tier);
      },
      onCaption: () => {},
      onSession: () => {},
    },
    { ...given, expires: Date.now() + HOUR, ...admission },
  );
  connection.run();
  return { connection, statuses, groups, wanted, asked, log, phases: () => statuses.map(({ phase }) => phase) };
}

/** A track's name as it is on the wire. */
const named = (track: string) => track.length.toString(16).padStart(2, "0") + utf8(track);
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** The server accepts the stage. */
async function accepts(transport: MemoryTransport) {
  await wait(10);
  transport.asked("stage").peer("00 01 19");
  await wait(10);
}

/** Questions for a sign of life: announcements asked for, but for the first, which is meant. */
const pings = (transport: MemoryTransport) => transport.bidi.filter(({ sent }) => sent.startsWith("01")).slice(1);

test("it is live once the stage is accepted, and what comes is handed on", async () => {
  const transport = new MemoryTransport();
  const { statuses, groups, asked } = joined([transport]);
  await wait(10);
  expect(statuses).toEqual([{ phase: "connecting" }]);
  await accepts(transport);
  expect(statuses.at(-1)).toEqual({ phase: "live", path: "webtransport" });
  expect(asked[0]).toMatchObject({ token: "t", space: "demo", origin: "https://page" });
  transport.datagram("00 19 80005dc0 1122");
  await wait(10);
  expect(groups).toEqual([0x19]);
});

test("a connection that breaks comes back, and says so meanwhile", async () => {
  const [first, second] = [new MemoryTransport(), new MemoryTransport()];
  const { phases } = joined([first, new ConnectError("no route"), second]);
  await accepts(first);
  first.ends(null);
  await wait(10);
  expect(phases()).toEqual(["connecting", "live", "reconnecting"]);
  await wait(500 + 1_000 + 20);
  await accepts(second);
  expect(phases().at(-1)).toBe("live");
});

test("waits grow to a quarter of a minute", async () => {
  const { asked } = joined(Array.from({ length: 40 }, () => new ConnectError("no route")));
  await wait(60_000);
  // 0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5 s
  expect(asked.length).toBe(8);
});

test("what is for good is told and not tried again", async () => {
  const transport = new MemoryTransport();
  const { statuses, asked } = joined([transport]);
  await accepts(transport);
  transport.ends(0x5320, "participant.removed");
  await wait(60_000);
  expect(statuses.at(-1)).toMatchObject({ phase: "refused", code: "participant.removed" });
  expect(asked.length).toBe(1);
});

test("a browser that can reach no server in any way is told so at once", async () => {
  const { statuses, asked } = joined([new ConnectError("This browser has no WebTransport.", "", false)]);
  await wait(60_000);
  expect(statuses.at(-1)).toMatchObject({ phase: "refused", text: "This browser has no WebTransport." });
  expect(asked.length).toBe(1);
});

test("a full server is tried again", async () => {
  const [full, free] = [new MemoryTransport(), new MemoryTransport()];
  const { phases } = joined([full, free]);
  await wait(10);
  full.ends(0x5331, "node.capacity");
  await wait(1_100);
  await accepts(free);
  expect(phases().at(-1)).toBe("live");
});

test("an admission that ran out is renewed before it is used", async () => {
  const { asked, log } = joined([new MemoryTransport()], { expires: Date.now() - 1 });
  await wait(10);
  expect(log.admitted).toBe(1);
  expect(asked[0]?.token).toBe("fresh");
});

test("a token that the server no longer takes is renewed once, then it is for good", async () => {
  const [first, second] = [new MemoryTransport(), new MemoryTransport()];
  const { statuses, log } = joined([first, second]);
  await wait(10);
  first.ends(0x5302, "auth.token_invalid");
  await wait(1_100);
  expect(log.admitted).toBe(1);
  second.ends(0x5302, "auth.token_invalid");
  await wait(1_100);
  expect(statuses.at(-1)).toMatchObject({ phase: "refused", code: "auth.token_invalid" });
});

test("on another network the next session is opened beside the old one, which ends when the new one is there", async () => {
  const [wifi, mobile] = [new MemoryTransport(), new MemoryTransport()];
  const { connection, phases, log } = joined([wifi, mobile]);
  await accepts(wifi);
  connection.reopen({ network: true });
  await wait(10);
  expect(log.forgot).toBe(1);
  expect(wifi.ended).toBe(null);
  await accepts(mobile);
  expect(wifi.ended).not.toBe(null);
  expect(phases()).toEqual(["connecting", "live", "live"]);
});

test("the server closes our older session when the newer one comes in: no refusal", async () => {
  const [older, newer] = [new MemoryTransport(), new MemoryTransport()];
  const { connection, phases } = joined([older, newer]);
  await accepts(older);
  connection.reopen();
  await wait(10);
  older.ends(0x5324, "session.superseded");
  await accepts(newer);
  expect(phases().at(-1)).toBe("live");
});

test("the same sign-in elsewhere ends it for good", async () => {
  const transport = new MemoryTransport();
  const { statuses } = joined([transport]);
  await accepts(transport);
  transport.ends(0x5324, "session.superseded");
  await wait(10);
  expect(statuses.at(-1)).toMatchObject({ phase: "refused", code: "session.superseded" });
});

test("a server that goes away gets its listeners to open the next session at once", async () => {
  const [leaving, next] = [new MemoryTransport(), new MemoryTransport()];
  const { asked, phases } = joined([leaving, next]);
  await accepts(leaving);
  leaving.opens("05 03 02 2f78", { fin: true });
  await wait(10);
  expect(asked.length).toBe(2);
  await accepts(next);
  expect(phases().at(-1)).toBe("live");
});

test("a dead connection that says nothing is noticed and replaced", async () => {
  const [dead, next] = [new MemoryTransport(), new MemoryTransport()];
  const { phases, asked, log } = joined([dead, next]);
  await accepts(dead);
  await wait(3_100);
  expect(pings(dead).length).toBe(1);
  expect(asked.length).toBe(1);
  await wait(3_500);
  expect(phases().at(-1)).toBe("reconnecting");
  expect([asked.length, log.forgot]).toEqual([2, 1]);
});

test("a silent stage is no dead connection", async () => {
  const transport = new MemoryTransport();
  const { phases, asked } = joined([transport]);
  await accepts(transport);
  for (let second = 0; second < 60; second++) {
    for (const stream of pings(transport)) {
      // The server answers as it must: ANNOUNCE_OK.
      if (!stream.ended) stream.peer("03 404d 01");
      stream.ended = true;
    }
    await wait(1_000);
  }
  expect(phases()).toEqual(["connecting", "live"]);
  expect(asked.length).toBe(1);
  expect(pings(transport).length).toBeGreaterThan(3);
  expect(pings(transport).length).toBeLessThan(8);
});

test("another person's token needs another session, a renewed one of the same person does not", async () => {
  const token = (claims: object) => `h.${btoa(JSON.stringify(claims))}.s`;
  const [first, second] = [new MemoryTransport(), new MemoryTransport()];
  const own = { token: token({ sub: "1", sid: "2", exp: 5 }), expires: Date.now() + HOUR };
  const { connection, asked } = joined([first, second], own);
  await accepts(first);
  connection.readmit({ ...given, expires: Date.now() + HOUR, token: token({ sub: "1", sid: "2", exp: 9 }), seat: 4 });
  await wait(10);
  expect(asked.length).toBe(1);
  connection.readmit({ ...given, expires: Date.now() + HOUR, token: token({ sub: "7", sid: "2", exp: 9 }) });
  await wait(10);
  expect(asked.length).toBe(2);
});

test("who leaves says so and does not come back", async () => {
  const transport = new MemoryTransport();
  const { connection, asked } = joined([transport]);
  await accepts(transport);
  connection.close();
  await wait(60_000);
  expect(transport.ended).toEqual([0, "left"]);
  expect(asked.length).toBe(1);
});

test("the mix is subscribed to beside the stage, which is given up when the mix is played, and back", async () => {
  const transport = new MemoryTransport();
  const { connection, wanted, groups } = joined([transport]);
  await accepts(transport);
  const asked = (track: string) => transport.bidi.filter(({ sent }) => sent.includes(`${utf8("demo")}${named(track)}`));
  expect([asked("stage").length, asked("mix").length, wanted]).toEqual([1, 0, ["stage"]]);
  connection.saveData(true);
  await wait(10);
  expect([asked("mix").length, wanted.at(-1), asked("stage")[0]?.aborted]).toEqual([1, "mix", false]);
  connection.playing("mix");
  await wait(10);
  expect(asked("stage").every(({ aborted }) => aborted)).toBe(true);
  expect(asked("mix")[0]?.aborted).toBe(false);
  connection.saveData(false);
  await wait(10);
  expect([asked("stage").length, wanted.at(-1), asked("mix")[0]?.aborted]).toEqual([2, "stage", false]);
  connection.playing("stage");
  await wait(10);
  expect(asked("mix")[0]?.aborted).toBe(true);
  expect(groups).toEqual([]);
});

test("who gets a seat goes back to the stage at once", async () => {
  const transport = new MemoryTransport();
  const { connection, wanted } = joined([transport]);
  await accepts(transport);
  connection.saveData(true);
  connection.readmit({ ...given, expires: Date.now() + HOUR, seat: 3 });
  expect(wanted).toEqual(["stage", "mix", "stage"]);
});
