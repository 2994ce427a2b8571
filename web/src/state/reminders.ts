// Of which scheduled Spaces the account is told when they start.
import { effect, signal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { account } from "./session";

/** Null until known, and for guests. */
export const reminders = signal<ReadonlySet<string> | null>(null);

let asked: string | null = null;
effect(() => {
  const me = account.value?.id ?? null;
  if (me === asked) return;
  asked = me;
  reminders.value = null;
  if (me === null) return;
  ok(api.GET("/api/v1/me/reminders")).then(
    (found) => {
      if (asked === me) reminders.value = new Set(found.data.map((space) => space.id));
    },
    () => {
      asked = null; // asked again when the account is known anew
    },
  );
});

/** Sets or takes the reminder. Throws ApiError. */
export async function remind(space: string, on: boolean): Promise<void> {
  const params = { params: { path: { space } } };
  if (on) await ok(api.PUT("/api/v1/spaces/{space}/reminder", params));
  else await ok(api.DELETE("/api/v1/spaces/{space}/reminder", params));
  const next = new Set(reminders.value);
  if (on) next.add(space);
  else next.delete(space);
  reminders.value = next;
}
