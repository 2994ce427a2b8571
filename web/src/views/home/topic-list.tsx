import { t } from "@/i18n";
import { Refused } from "@/parts/refused";
import { loadTopics, topics } from "@/state/topics";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./home.module.css";

/** The catalogue of topics as a wall of links. */
export function TopicList() {
  const { error, again } = useLoaded(loadTopics, []);
  if (topics.value.length > 0) {
    return (
      <ul class={styles.topics} aria-label={t("home.tab_topics")}>
        {topics.value.map((topic) => (
          <li key={topic.id}>
            <a href={`/topics/${topic.id}`}>
              <span class={styles.topicName}>{topic.name}</span>
              <span class="soft">{topic.description}</span>
            </a>
          </li>
        ))}
      </ul>
    );
  }
  if (error.value) return <Refused error={error.value} onRetry={again} />;
  return topics.value.length === 0 && error.value === null ? <Loading /> : <Empty title={t("common.nothing")} />;
}
