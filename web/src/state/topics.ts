// The catalogue of topics: asked once, when somebody needs it.
import { signal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";

export type Topic = Schema<"TopicView">;
export const topics = signal<Topic[]>([]);
let asked: Promise<void> | null = null;

/** Resolves when `topics` is there. Throws ApiError. */
export function loadTopics(): Promise<void> {
  asked ??= ok(api.GET("/api/v1/topics")).then(
    (found) => {
      topics.value = found.data;
    },
    (error) => {
      asked = null;
      throw error;
    },
  );
  return asked;
}

/** What people call a topic; its id, if it left the catalogue. */
export const topicName = (id: string) => topics.value.find((one) => one.id === id)?.name ?? id;
