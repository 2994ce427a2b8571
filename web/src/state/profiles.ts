// Names and pictures of accounts, asked once each and kept: most lists of the API name accounts by id. What is wanted in
// the same moment is asked for in one request.

import { effect, type Signal, signal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";

export type Profile = Schema<"ProfileView">;
const known = new Map<string, Signal<Profile | null>>();
let wanted = new Set<string>();

/** The most ids that one request may name. */
const MOST = 100;

/** The account's profile, as a signal that is null until it is known. */
export function profile(id: string): Signal<Profile | null> {
  const found = known.get(id);
  if (found) return found;
  const place = signal<Profile | null>(null);
  known.set(id, place);
  if (wanted.size === 0) setTimeout(askForWanted);
  wanted.add(id);
  return place;
}

function askForWanted(): void {
  const ids = [...wanted];
  wanted = new Set();
  for (let at = 0; at < ids.length; at += MOST) void ask(ids.slice(at, at + MOST));
}

async function ask(ids: string[]): Promise<void> {
  try {
    const found = await ok(api.GET("/api/v1/accounts", { params: { query: { ids: ids.join(",") } } }));
    learn(...found.data);
  } catch {
    for (const id of ids) known.delete(id); // asked again by whoever needs it next
  }
}

const PATIENCE_MS = 3_000;

/** The account's name, for a text that is shown once; "" if it is not known in time. */
export function nameOf(id: string): Promise<string> {
  const found = profile(id);
  return new Promise((resolve) => {
    const done = (name: string) => {
      clearTimeout(late);
      queueMicrotask(() => end());
      resolve(name);
    };
    const late = setTimeout(() => done(""), PATIENCE_MS);
    const end = effect(() => {
      if (found.value) done(found.value.name);
    });
  });
}

/** What a list told anyway. */
export function learn(...profiles: Profile[]): void {
  for (const one of profiles) {
    const place = known.get(one.id);
    if (place) place.value = one;
    else known.set(one.id, signal<Profile | null>(one));
  }
}
