// A server for the tests of a session: answers what the table says and tells events when it is told to.
import { vi } from "vitest";
import type { SpaceView } from "@/state/space";

export interface FakeServer {
  /** What was asked: "POST /join". */
  asked: string[];
  /** The answer to a path from now on: a body, or a refusal's code with its status. */
  answer(what: string, body: unknown, status?: number): void;
  tell(event: string, version: number | undefined, data: Record<string, unknown>): void;
}

const SPACE = "/api/v1/spaces/abc";

export function fakeServer(view: SpaceView): FakeServer {
  const asked: string[] = [];
  const answers = new Map<string, { body: unknown; status: number }>([
    [`GET `, { body: view, status: 200 }],
    ["GET /requests", { body: { data: [], next: null }, status: 200 }],
    ["GET /invites", { body: { data: [], next: null }, status: 200 }],
  ]);
  const open = new Set<FakeEvents>();
  class FakeEvents extends EventTarget {
    static readonly CLOSED = 2;
    readyState = 1;
    onopen: (() => void) | null = null;
    onerror: (() => void) | null = null;
    constructor(readonly url: string) {
      super();
      open.add(this);
      queueMicrotask(() => this.onopen?.());
    }
    close(): void {
      open.delete(this);
    }
  }
  vi.stubGlobal("EventSource", FakeEvents);
  vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
    const request = input instanceof Request ? input : new Request(new URL(input, location.origin), init);
    const path = new URL(request.url).pathname;
    if (!path.startsWith(SPACE)) return reply({ token: "csrf", data: [] });
    const what = `${request.method} ${path.slice(SPACE.length)}`;
    asked.push(what);
    const { body, status } = answers.get(what) ?? {
      body: { space: "abc", version: 1, fence_group: null },
      status: 200,
    };
    return reply(body, status);
  });
  return {
    asked,
    answer(what, body, status = 200) {
      answers.set(what, { body: status < 400 ? body : { code: body, detail: String(body) }, status });
    },
    tell(event, version, data) {
      const at = new Date().toISOString();
      const message = JSON.stringify({ event, version, at, data });
      for (const one of open) one.dispatchEvent(new MessageEvent(event, { data: message }));
    },
  };
}

const reply = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
