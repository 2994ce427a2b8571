// How the account stands to others: whom it follows, blocks, mutes. Asked when somebody is shown with a button for it.
import { type Signal, signal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";

export type Relation = Schema<"RelationAnswer">;
type What = "following" | "blocking" | "muting";

const known = new Map<string, Signal<Relation | null>>();

/** Null until it is known. `forgetRelations` when somebody else signs in. */
export function relation(id: string): Signal<Relation | null> {
  const found = known.get(id);
  if (found) return found;
  const place = signal<Relation | null>(null);
  known.set(id, place);
  ok(api.GET("/api/v1/accounts/{account}/relation", { params: { path: { account: id } } })).then(
    (answer) => {
      place.value = answer;
    },
    () => known.delete(id),
  );
  return place;
}

export const forgetRelations = () => known.clear();

const PATHS = {
  following: "/api/v1/me/following/{account}",
  blocking: "/api/v1/me/blocks/{account}",
  muting: "/api/v1/me/mutes/{account}",
} as const;

/** Follows, blocks or mutes, or the contrary. Throws ApiError. */
export async function relate(id: string, what: What, on: boolean): Promise<void> {
  const params = { params: { path: { account: id } } };
  if (on) await ok(api.PUT(PATHS[what], params));
  else await ok(api.DELETE(PATHS[what], params));
  const place = relation(id);
  if (place.value) place.value = changed(place.value, what, on);
}

/** What is so after a change: who blocks somebody does not follow them any more. */
export function changed(now: Relation, what: What, on: boolean): Relation {
  if (now[what] === on) return now;
  const next = { ...now, [what]: on };
  if (what === "following") next.followers += on ? 1 : -1;
  if (what === "blocking" && on) {
    if (now.following) next.followers -= 1;
    next.following = false;
    next.follows_you = false;
  }
  return next;
}
