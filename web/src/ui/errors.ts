// What a refusal means to a person: by its code from the catalogue, otherwise what the server said.
import { ApiError } from "@/api/client";
import { type Key, t } from "@/i18n";

export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    const key = `errors.${error.code}` as Key;
    const text = t(key);
    return text === key ? error.message : text;
  }
  return error instanceof Error ? error.message : String(error);
}
