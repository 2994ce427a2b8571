// Who uses this page: an account of ours, or a guest. Asked once at the start and after signing in or out.

import { computed, signal } from "@preact/signals";
import { ApiError, api, forgetCsrf, ok, type Schema } from "@/api/client";

import { unsubscribePush } from "@/pwa/push";
import { forgetRelations } from "./relations";

export type Account = Schema<"OwnAccount">;

/** `undefined` while unknown, `null` for a guest. */
export const account = signal<Account | null | undefined>(undefined);
export const signedIn = computed(() => account.value != null);

/** Asks the server who we are. Stays unknown if it cannot be reached (throws ApiError then). */
export async function refreshSession(): Promise<void> {
  try {
    account.value = (await ok(api.GET("/api/v1/me"))).account;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    account.value = null;
  }
}

/** `name`: handle or address. Throws ApiError, for a wrong password too (`auth.credentials`). */
export async function signIn(name: string, password: string): Promise<void> {
  await ok(api.POST("/api/v1/auth/login", { body: { name, password, session: "cookie" } }));
  forgetCsrf();
  forgetRelations();
  await refreshSession();
}

export async function signOut(): Promise<void> {
  // Whoever signs in here next is not to see what this account is told.
  await unsubscribePush().catch(() => {});
  await ok(api.POST("/api/v1/auth/logout"));
  forgetCsrf();
  forgetRelations();
  account.value = null;
}
