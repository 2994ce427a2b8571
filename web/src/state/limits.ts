// The numbers of this deployment's rules: lengths, how many, how far ahead.
import { signal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";

export type Limits = Schema<"LimitsView">;
/** Null until `loadLimits` is done. */
export const limits = signal<Limits | null>(null);
let asked: Promise<Limits> | null = null;

/** Asked once. Throws ApiError. */
export function loadLimits(): Promise<Limits> {
  asked ??= ok(api.GET("/api/v1/limits")).then(
    (found) => {
      limits.value = found;
      return found;
    },
    (error) => {
      asked = null;
      throw error;
    },
  );
  return asked;
}
