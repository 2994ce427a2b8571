// The page's engine, off the main thread so that no layout or script of the page can make the sound stutter: session, wire,
// encoding. Bundles go by a port of their own straight to the loudspeaker's worklet. Messages: engine-messages.ts.

import { type Admission, Connection } from "./connection";
import type { FromEngine, ToEngine } from "./engine-messages";
import type { FromPackets, ToPackets } from "./player-worklet";
import { ConnectError } from "./transport";
import { transportChoice } from "./transport-any";
import { openWebSocket } from "./transport-websocket";
import { openWebTransport } from "./transport-webtransport";
import { VoiceEncoder } from "./voice-encoder";
import { Publication } from "./wire/tracks";

const FRAME = 960;

const page = globalThis as unknown as {
  postMessage(message: FromEngine): void;
  onmessage: ((event: MessageEvent<ToEngine>) => void) | null;
};

let connection: Connection | null = null;
let seat: number | null = null;
let encoder: VoiceEncoder | null = null;
let publication: Publication | null = null;
let publishedSeat: number | null = null;
let nextFrame = 0;
let admission: { resolve(given: Admission): void; reject(error: ConnectError): void } | null = null;

page.onmessage = ({ data }) => {
  if ("start" in data) start(data.start, data.packets);
  else if ("readmit" in data) readmit(data.readmit);
  else if ("admitted" in data) {
    seat = data.admitted.seat;
    admission?.resolve(data.admitted);
  } else if ("notAdmitted" in data) {
    const { code, text } = data.notAdmitted;
    admission?.reject(new ConnectError(text, code));
  } else if ("network" in data) connection?.reopen({ network: true });
  else if ("captions" in data) connection?.captions(data.captions);
  else if ("saveData" in data) connection?.saveData(data.saveData);
  else if ("speak" in data) speak(data.speak.muted, data.capture);
  else if ("mute" in data) {
    if (encoder) encoder.muted = data.mute;
  } else if ("quiet" in data) quiet();
  else if ("stop" in data) {
    quiet();
    connection?.close();
  }
};

function start(given: Extract<ToEngine, { start: unknown }>["start"], packets: MessagePort): void {
  seat = given.admission.seat;
  let first = true;
  let live = 0;
  connection = new Connection(
    {
      space: given.space,
      origin: given.origin,
      protocol: given.protocol,
      choice: transportChoice([openWebTransport, openWebSocket]),
      admit: () => {
        page.postMessage({ admit: true });
        return new Promise((resolve, reject) => {
          admission = { resolve, reject };
        });
      },
      onStatus: (status) => {
        if (status.phase === "live") live ||= performance.now();
        page.postMessage({ status });
      },
      onBundle: ({ group, payload }, tier) => {
        if (first) page.postMessage({ firstBundle: performance.now() - live });
        first = false;
        const own = payload.slice(); // the datagram's memory is not ours to give
        packets.postMessage({ tier, group, payload: own } satisfies FromPackets, [own.buffer]);
      },
      onWanted: (want) => packets.postMessage({ want } satisfies FromPackets),
      onCaption: ({ payload }) => {
        try {
          page.postMessage({ caption: JSON.parse(new TextDecoder().decode(payload)) });
        } catch {
          // a line that cannot be read is not shown
        }
      },
      onSession: () => {
        publication = null; // that of the session before
        publish();
      },
    },
    given.admission,
  );
  packets.onmessage = ({ data }: MessageEvent<ToPackets>) => connection?.playing(data.playing);
  connection.run();
}

function readmit(given: Admission): void {
  seat = given.seat;
  connection?.readmit(given);
  if (publication && publishedSeat !== seat) withdraw();
  publish();
}

async function speak(muted: boolean, capture: MessagePort): Promise<void> {
  encoder?.close();
  nextFrame = encoder?.next ?? nextFrame;
  const own = new VoiceEncoder(
    nextFrame,
    (sequence, payload) => {
      if (publication?.wanted) connection?.session?.send(publication, sequence, payload);
    },
    (report) => page.postMessage({ microphone: report }),
  );
  own.muted = muted;
  own.wanted = () => publication?.wanted === true;
  encoder = own;
  try {
    await own.open();
  } catch (error) {
    page.postMessage({ voiceRefused: error instanceof Error ? error.message : String(error) });
    return;
  }
  capture.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => {
    if (encoder === own) own.take(data);
  };
  publish();
}

/** Announces our seat on the session that there is, if there is something to say and a seat to say it from. */
function publish(): void {
  const session = connection?.session;
  if (!session || !connection || !encoder || seat === null || publication) return;
  const own = new Publication([...connection.namespace, "seat", String(seat)], "audio", FRAME, (wanted) => {
    if (publication === own) page.postMessage({ onAir: wanted });
  });
  publication = own;
  publishedSeat = seat;
  session.publish(own).catch((error) => {
    if (publication !== own) return;
    publication = null;
    page.postMessage({ voiceRefused: error instanceof Error ? error.message : String(error) });
  });
}

function withdraw(): void {
  const ending = publication;
  publication = null;
  if (ending) connection?.session?.unpublish(ending).catch(() => {});
  page.postMessage({ onAir: false });
}

/** The microphone is closed: back to listening. */
function quiet(): void {
  nextFrame = encoder?.next ?? nextFrame;
  encoder?.close();
  encoder = null;
  withdraw();
}
