import { useEffect } from "preact/hooks";
import { loadTopics, topicName } from "@/state/topics";
import styles from "./topic-chips.module.css";

/** A Space's topics, each a link to its page. */
export function TopicChips({ topics }: { topics: readonly string[] }) {
  useEffect(() => {
    // Without the catalogue the ids are shown.
    if (topics.length > 0) loadTopics().catch(() => {});
  }, []);
  if (topics.length === 0) return null;
  return (
    <ul class={styles.chips}>
      {topics.map((topic) => (
        <li key={topic}>
          <a href={`/topics/${topic}`}>{topicName(topic)}</a>
        </li>
      ))}
    </ul>
  );
}
