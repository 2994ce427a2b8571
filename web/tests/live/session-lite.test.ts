// @vitest-environment node
// moq-lite-05 over a transport in memory: what is sent is byte for byte what the transcripts' peers accept, and what those
// peers sent is understood.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Lite05 } from "@/live/wire/lite05";
import { Publication } from "@/live/wire/tracks";
import { hex, MemoryTransport, settle, unhexed, utf8 } from "./bytes-for-tests";
import { subscribed } from "./subscribed";

async function begun() {
  const transport = new MemoryTransport();
  const session = new Lite05(transport);
  await session.begin();
  await settle();
  return { transport, session };
}

test("setup is one unidirectional stream, ended", async () => {
  const { transport } = await begun();
  expect(transport.uni[0]?.sent).toBe("010100");
  expect(transport.uni[0]?.ended).toBe(true);
});

test("a subscription, its datagrams and its group streams", async () => {
  const { transport, session } = await begun();
  const log = subscribed(session, "stage");
  await settle();
  const stream = transport.asked("stage");
  expect(stream.sent).toBe("02" + "18" + "00" + "0b7370616365732f64656d6f" + "057374616765" + "80" + "00000000");
  stream.peer("00 01 19");
  transport.datagram("00 19 80005dc0 1122");
  transport.datagram("07 19 80005dc0 1122"); // somebody else's subscription
  transport.datagram("00 80"); // cut short
  // A group of two frames: timestamps as zigzag deltas (0x8000bb80 = 48000 → 24000, 0x4780 = 1920 → 960).
  transport.opensUni("00 02 00 1a 8000bb80 02 aabb 4780 01 cc", { fin: true });
  await settle();
  expect(log.accepted).toBe(1);
  expect(log.objects).toEqual([
    [0x19, 0, 24_000, "1122", true],
    [0x1a, 0, 24_000, "aabb", false],
    [0x1a, 1, 24_960, "cc", false],
  ]);
  expect(session.malformed).toBe(1);
  stream.peer("01 01 1b", { fin: true });
  await settle();
  expect(log.ended).toEqual([null]);
});

test("datagrams of a recorded session reach the tracks that were asked for", async () => {
  const path = new URL("../../../engine-rs/moqt/tests/vectors/moq-rs.lite-05.txt", import.meta.url);
  const recorded = readFileSync(path, "utf8").matchAll(/^datagram (\w+) ([0-9a-f]+)$/gm);
  const { transport, session } = await begun();
  const logs = new Map(["stage", "packed", "bundle", "seat1", "mix"].map((name) => [name, subscribed(session, name)]));
  await settle();
  let count = 0;
  for (const [, track = "", header = ""] of recorded) {
    transport.datagram(`${header}78`);
    await settle();
    const [group = 0, , timestamp, payload] = logs.get(track)?.objects.at(-1) ?? [];
    // The trial's track `packed` has several objects a group, so that its group is no tick.
    expect([timestamp, payload]).toEqual([track === "packed" ? 24_000 : Number(group) * 960, "78"]);
    count += 1;
  }
  expect(count).toBeGreaterThan(4);
  expect(session.malformed).toBe(0);
});

test("announcements of the server are heard", async () => {
  const { transport, session } = await begun();
  const heard: [string, boolean][] = [];
  session.watch(["spaces"], (namespace, live) => heard.push([namespace.join("/"), live])).catch(() => {});
  await settle();
  const stream = transport.asked("spaces");
  expect(stream.sent).toBe("01" + "08" + "06737061636573" + "00");
  stream.peer("03 404d 01" + "07 01 04 64656d6f 00" + "07 00 04 64656d6f 00");
  await settle();
  expect(heard).toEqual([
    ["spaces/demo", true],
    ["spaces/demo", false],
  ]);
});

test("the server finds, asks about, subscribes to and leaves a seat of ours", async () => {
  const { transport, session } = await begun();
  const demand: boolean[] = [];
  const publication = new Publication(["spaces", "demo", "seat", "3"], "audio", 960, (wanted) => demand.push(wanted));
  const announce = transport.opens("01 02 00 00");
  await settle();
  expect(announce.sent).toBe("020000");
  await session.publish(publication);
  await settle();
  const path = `12${utf8("spaces/demo/seat/3")}`;
  expect(announce.sent.slice(6)).toBe(`1501${path}00`);

  const track = transport.opens(`0619${path}05617564696f`, { fin: true });
  await settle();
  expect(track.sent).toBe("07" + "80" + "00" + "00" + "8000bb80");

  const subscribe = transport.opens(`021f09${path}05617564696f0000000000`);
  await settle();
  expect(subscribe.sent).toBe("000100");
  expect(demand).toEqual([true]);
  session.send(publication, 5, unhexed("9f0178"));
  expect(transport.sentDatagrams).toEqual(["09" + "05" + "52c0" + "9f0178"]);

  subscribe.feed.close();
  await settle();
  expect(demand).toEqual([true, false]);
  expect(subscribe.ended).toBe(true);
  await session.unpublish(publication);
  await settle();
  expect(announce.sent.endsWith(`1500${path}00`)).toBe(true);
});

test("a track that we do not have is refused", async () => {
  const { transport } = await begun();
  const stream = transport.opens("06" + "08" + "0178" + "05617564696f");
  await settle();
  expect(stream.aborted).toBe(true);
});

test("GOAWAY is heard", async () => {
  const transport = new MemoryTransport();
  const to: string[] = [];
  const session = new Lite05(transport, { onGoAway: (uri) => to.push(uri) });
  await session.begin();
  transport.opens(`05 03 02 ${hex(Buffer.from("/x"))}`, { fin: true });
  await settle();
  expect(to).toEqual(["/x"]);
});
