// Names and pictures of accounts, asked once each and kept: most lists of the API name accounts by id.

import { type Signal, signal } from "@preact/signals";
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

/** What a list told anyway. */
export function learn(...profiles: Profile[]): void {
  for (const one of profiles) {
    const place = known.get(one.id);
    if (place) place.value = one;
    else known.set(one.id, signal<Profile | null>(one));
  }
}
