import { t } from "@/i18n";
import { Field } from "@/ui/field";
import { Choice } from "./choice";
import styles from "./create.module.css";
import { type Draft, localInput } from "./draft";

interface Props {
  scheduled: boolean;
  at: string;
  error?: string;
  /** How many days ahead it may be. */
  days: number;
  /** The Space is scheduled: only the time can change. */
  fixed: boolean;
  onChange: (change: Partial<Draft>) => void;
}

const DAY_MS = 86_400_000;
const QUARTER_MS = 900_000;

/** Now, or when. The time is the local one, and which that is stands beside it. */
export function WhenField({ scheduled, at, error, days, fixed, onChange }: Props) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const now = Date.now();
  const choose = (when: "now" | "later") => {
    // Tomorrow at this time, rounded, is a good guess.
    const guess = Math.ceil((now + DAY_MS) / QUARTER_MS) * QUARTER_MS;
    onChange({ scheduled: when === "later", at: at || localInput(guess) });
  };
  return (
    <section class="card stack">
      {!fixed && (
        <Choice
          legend={t("home.when")}
          name="when"
          value={scheduled ? "later" : "now"}
          options={[
            ["now", t("home.startNow"), t("home.startNowHint")],
            ["later", t("home.schedule"), t("home.scheduleHint", { days })],
          ]}
          onChange={choose}
        />
      )}
      {scheduled && (
        <div class={styles.narrow}>
          <Field
            label={t("home.startsAt")}
            type="datetime-local"
            hint={t("home.timeZone", { zone })}
            error={error}
            min={localInput(now)}
            max={localInput(now + days * DAY_MS)}
            value={at}
            onValue={(value) => onChange({ at: value })}
          />
        </div>
      )}
    </section>
  );
}
