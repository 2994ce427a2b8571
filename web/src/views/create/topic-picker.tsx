import { useEffect, useId } from "preact/hooks";
import { t } from "@/i18n";
import { loadTopics, topicName, topics } from "@/state/topics";
import styles from "./create.module.css";

interface Props {
  chosen: readonly string[];
  most: number;
  error?: string;
  onChange: (chosen: string[]) => void;
}

/** The catalogue as switches, of which at most `most` may be on. */
export function TopicPicker({ chosen, most, error, onChange }: Props) {
  const id = useId();
  useEffect(() => {
    loadTopics().catch(() => {}); // a Space needs no topics
  }, []);
  const known = topics.value.map((one) => one.id);
  const all = [...known, ...chosen.filter((one) => !known.includes(one))];
  if (all.length === 0) return null;
  const full = chosen.length >= most;
  return (
    <fieldset class={styles.topics} aria-describedby={id}>
      <legend>{t("home.topics")}</legend>
      <p id={id} class={error ? styles.error : styles.hint} aria-live="polite">
        {error ?? t("home.topicsChosen", { count: chosen.length, most })}
      </p>
      <div class={styles.chips}>
        {all.map((topic) => {
          const on = chosen.includes(topic);
          return (
            <button
              type="button"
              key={topic}
              aria-pressed={on}
              disabled={full && !on}
              onClick={() => onChange(on ? chosen.filter((one) => one !== topic) : [...chosen, topic])}
            >
              {topicName(topic)}
            </button>
          );
        })}
      </div>
    </fieldset>
  );
}
