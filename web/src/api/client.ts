// The HTTP API, typed from its OpenAPI document (`npm run types`). Every function that calls it throws `ApiError`.

import { signal } from "@preact/signals";
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

/** A schema of the API's by its name: `Schema<"SpaceView">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** Whether the server could be reached when it was asked last. */
export const reachable = signal(true);

/** A refusal, as application/problem+json (RFC 9457): `code` is one of ours, such as `stage.full`. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    detail: string,
    /** Seconds to wait before it makes sense to ask again, where the server says so. */
    readonly retryAfter: number | null = null,
    /** What is wrong with which field, where the server says so: `pointer` is a JSON pointer into the body. */
    readonly fields: readonly Schema<"FieldError">[] = [],
  ) {
    super(detail);
    this.name = "ApiError";
  }
}

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
let csrf: Promise<string | null> | null = null;

/** Forgets the token that changes bear: after signing in or out. */
export function forgetCsrf(): void {
  csrf = null;
}

async function csrfToken(): Promise<string | null> {
  // Bound to the login session; guests have none and need none.
  csrf ??= fetch("/api/v1/me/csrf", { cache: "no-store" }).then(
    async (answer) => (answer.ok ? ((await answer.json()) as { token: string }).token : null),
    () => null,
  );
  const token = await csrf;
  if (token === null) csrf = null;
  return token;
}

const guard: Middleware = {
  async onRequest({ request }) {
    if (SAFE.has(request.method)) return;
    const token = await csrfToken();
    if (token) request.headers.set("x-csrf-token", token);
  },
};

const http = createClient<paths>({ baseUrl: location.origin, fetch: (request) => fetch(request) });
http.use(guard);

type Answer<T> = { data?: T; error?: unknown; response: Response };

/**
 * The body of an answer: `await ok(api.GET("/api/v1/spaces/{space}", {params: {path: {space}}}))`.
 * Throws ApiError for a refusal, and one with code `network.unreachable` if there was no answer.
 */
export async function ok<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reachable.value = false;
    throw new ApiError("network.unreachable", 0, "The server cannot be reached.");
  }
  reachable.value = true;
  if (answer.response.ok) return answer.data as T;
  throw problem(answer.response, answer.error);
}

function problem(response: Response, body: unknown): ApiError {
  const said = (typeof body === "object" && body !== null ? body : {}) as Partial<Schema<"Problem">>;
  const wait = Number(response.headers.get("retry-after"));
  return new ApiError(
    said.code ?? "internal",
    response.status,
    said.detail ?? `The server answered ${response.status}.`,
    Number.isFinite(wait) && wait > 0 ? wait : null,
    said.errors,
  );
}

/** Typed GET, POST, PUT, PATCH, DELETE. */
export const api = http;
