// What an order's state means to whom it belongs.
import type { Schema } from "@/api/client";

type State = Schema<"OrderState">;

/** It may still change by itself: ask again. */
export function isOpen(state: State, expires: string, now: number): boolean {
  if (state === "accepted" || state === "refund_due" || state === "withdrawn") return true;
  return state === "held" && new Date(expires).getTime() > now;
}

/** What it is called: a hold that is over is no longer to be paid. */
export function orderLabel(state: State, expires: string, now: number): `home.order_${State | "expired"}` {
  return state === "held" && new Date(expires).getTime() <= now ? "home.order_expired" : `home.order_${state}`;
}
