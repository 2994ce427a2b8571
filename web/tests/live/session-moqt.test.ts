// @vitest-environment node
// moqt-18 over a transport in memory: what is sent is byte for byte what the transcripts' peers accept, and what those peers
// sent is understood.

import { expect, test } from "vitest";
import { Moqt18 } from "@/live/wire/moqt18";
import { Publication } from "@/live/wire/tracks";
import { MemoryTransport, settle, unhexed, utf8 } from "./bytes-for-tests";
import { subscribed } from "./subscribed";

const to: string[] = [];

async function begun() {
  const transport = new MemoryTransport("moqt-18");
  const session = new Moqt18(transport, { onGoAway: (uri) => to.push(uri) });
  await session.begin();
  await settle();
  return { transport, session };
}

test("SETUP opens the control stream and keeps it", async () => {
  const { transport } = await begun();
  expect(transport.uni[0]?.sent).toBe(`af00000c070a${utf8("spaces-web")}`);
  expect(transport.uni[0]?.ended).toBe(false);
});

test("SUBSCRIBE is the one that every peer tried sends, but for its priority", async () => {
  const { transport, session } = await begun();
  const log = subscribed(session, "stage");
  await settle();
  const stream = transport.asked("stage");
  expect(stream.sent).toBe("03001e0002067370616365730464656d6f05737461676504100110800101020102");
  stream.peer("040006 01 00 08c0bb80");
  await settle();
  transport.datagram("0f 01 19 04 10c05dc0 1122");
  transport.datagram("09 01 19 01 04 10c05dc0 33"); // object 1, not the end of its group
  transport.opensUni("79 01 1a 00 04 10c06180 02 aabb 00 04 10c06540 01 cc", { fin: true });
  await settle();
  expect(log.objects).toEqual([
    [0x19, 0, 24_000, "1122", true],
    [0x19, 1, 24_000, "33", true],
    [0x1a, 0, 24_960, "aabb", false],
    [0x1a, 1, 25_920, "cc", false],
  ]);
  expect(log.accepted).toBe(1);
});

test("a relay's timescale is turned into samples, and LARGEST is passed over", async () => {
  const { transport, session } = await begun();
  const log = subscribed(session, "stage");
  await settle();
  transport.asked("stage").peer("040009 02 01 09 1905 08 cf4240"); // LARGEST (25, 5), TIMESCALE 1,000,000
  await settle();
  transport.datagram("0f 02 19 05 10e007a120 11"); // 500,000 µs
  await settle();
  expect(log.objects).toEqual([[0x19, 0, 24_000, "11", true]]);
});

test("a group stream that overtakes its SUBSCRIBE_OK is kept", async () => {
  const { transport, session } = await begun();
  const log = subscribed(session, "captions");
  await settle();
  transport.opensUni("78 07 03 00 02 7b7d", { fin: true });
  await settle();
  expect(log.objects).toEqual([]);
  transport.asked("captions").peer("040006 07 00 08c0bb80");
  await settle();
  expect(log.objects).toEqual([[3, 0, 2880, "7b7d", false]]);
});

test("a refusal reaches the subscriber in the server's words", async () => {
  const { transport, session } = await begun();
  const log = subscribed(session, "nonsense");
  await settle();
  transport.asked("nonsense").peer(`05000a 10 00 07${utf8("unknown")}`);
  await settle();
  expect(log.ended).toEqual(["unknown"]);
});

test("a seat is announced, subscribed to and fed", async () => {
  const { transport, session } = await begun();
  const publication = new Publication(["spaces", "demo", "seat", "3"], "audio", 960);
  const published = session.publish(publication);
  await settle();
  const name = "04067370616365730464656d6f04736561740133";
  const announce = transport.asked("seat");
  expect(announce.sent).toBe(`06001600${name}00`);
  announce.peer("07000100");
  await published;
  const subscribe = transport.opens(`03002501${name}05617564696f04100110ff0101020102`);
  await settle();
  expect(subscribe.sent).toBe("040006" + "01" + "00" + "08c0bb80");
  session.send(publication, 5, unhexed("9f0178"));
  expect(transport.sentDatagrams).toEqual(["0f" + "01" + "05" + "03" + "1092c0" + "9f0178"]);
});

test("GOAWAY on the control stream is heard", async () => {
  const { transport } = await begun();
  transport.opensUni(`af00 0007 0705${utf8("spike")} 10 0004 02 2f78 00`);
  await settle();
  expect(to.at(-1)).toBe("/x");
});
