// Names and pictures of accounts, asked once each and kept: most lists of the API name accounts by id.

import { effect, type Signal, signal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";

export type Profile = Schema<"ProfileView">;
const known = new Map<string, Signal<Profile | null>>();

/** The account's profile, as a signal that is null until it is known. */
export function profile(id: string): Signal<Profile | null> {
  let found = known.get(id);
  if (!found) {
    found = signal<Profile | null>(null);
    known.set(id, found);
    const place = found;
    ok(api.GET("/api/v1/accounts/{account}", { params: { path: { account: id } } })).then(
      (answer) => {
        place.value = answer as Profile;
      },
      () => known.delete(id), // asked again by whoever needs it next
    );
  }
  return found;
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
