import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { learn, type Profile } from "@/state/profiles";

/** The handle that somebody may mean: the only word, with or without @. */
export function handleIn(text: string): string | null {
  const found = /^@?([0-9A-Za-z_]{1,15})$/.exec(text.trim());
  return found?.[1]?.toLowerCase() ?? null;
}

/** Whom a handle names, with or without @. Throws what `explain` puts into words: no handle, nobody's, ApiError. */
export async function findAccount(text: string): Promise<Profile> {
  const handle = handleIn(text);
  if (!handle) throw new Error(t("home.handleWrong"));
  const found = await ok(api.GET("/api/v1/accounts/by-handle/{handle}", { params: { path: { handle } } }));
  learn(found);
  return found;
}
