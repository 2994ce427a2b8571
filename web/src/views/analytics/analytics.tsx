import { api, ok, type Schema } from "@/api/client";
import { dateTime, number, t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { Refused } from "@/parts/refused";
import { usePolling } from "@/parts/use-polling";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { reactionOf } from "../room/reactions";
import styles from "./analytics.module.css";
import { Chart, peopleIn } from "./chart";

const EVERY_MS = 15_000;

/** For hosts: how many came and stayed, and what they did. */
export default function Analytics({ space }: { space: string }) {
  const params = { params: { path: { space } } };
  const found = useLoaded(async () => {
    const [report, view] = await Promise.all([
      ok(api.GET("/api/v1/spaces/{space}/analytics", params)),
      ok(api.GET("/api/v1/spaces/{space}", params)),
    ]);
    return { report, view };
  }, [space]);
  usePolling(found.again, EVERY_MS);
  if (!found.value.value)
    return found.error.value ? <Refused page error={found.error.value} onRetry={found.again} /> : <Loading />;
  const { report, view } = found.value.value;
  return (
    <div class={styles.page}>
      <PageHead title={t("admin.analytics")} lead={view.title || t("home.aSpace")}>
        <LinkButton href={`/s/${space}`}>{t("home.openSpace")}</LinkButton>
      </PageHead>
      <Figures report={report} />
      {report.moments.length > 0 ? (
        <section class="card stack" aria-labelledby="over-time">
          <h2 id="over-time">{t("admin.listenersOverTime")}</h2>
          <Chart moments={report.moments} />
          <Numbers moments={report.moments} />
        </section>
      ) : (
        <Empty title={t("admin.nothingCounted")} />
      )}
      <Reactions counts={report.reactions} />
    </div>
  );
}

function Figures({ report }: { report: Schema<"AnalyticsView"> }) {
  const last = report.moments.at(-1);
  const hours = report.listened_ms / 3_600_000;
  const figures: [string, string, string?][] = [
    [t("admin.peak"), number(report.peak)],
    [t("admin.held"), last ? `${number(Math.round(last.held * 100))} %` : "–", t("admin.heldHint")],
    [t("admin.listened"), t("admin.hours", { count: Math.round(hours * 10) / 10 }), t("admin.listenedHint")],
    [t("admin.requests"), number(report.requests)],
    [t("admin.clips"), number(report.clips)],
    [t("admin.plays"), number(report.replay_plays)],
    [t("admin.reminders"), number(report.reminders)],
    [t("admin.tickets"), number(report.tickets)],
  ];
  return (
    <dl class={styles.figures}>
      {figures.map(([name, value, hint]) => (
        <div key={name} class="card">
          <dt>{name}</dt>
          <dd>{value}</dd>
          {hint && <dd class={styles.hint}>{hint}</dd>}
        </div>
      ))}
    </dl>
  );
}

/** The numbers behind the drawing. */
function Numbers({ moments }: { moments: readonly Schema<"MomentView">[] }) {
  return (
    <details>
      <summary>{t("admin.asTable")}</summary>
      {/* A region that scrolls must be reachable by keyboard. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <section class={styles.scroll} aria-label={t("admin.listenersOverTime")} tabIndex={0}>
        <table class={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t("admin.time")}</th>
              <th scope="col">{t("admin.people")}</th>
              <th scope="col">{t("admin.named")}</th>
              <th scope="col">{t("admin.anonymous")}</th>
              <th scope="col">{t("admin.guests")}</th>
              <th scope="col">{t("admin.held")}</th>
            </tr>
          </thead>
          <tbody>
            {moments.map((one) => (
              <tr key={one.at}>
                <th scope="row">{dateTime(one.at)}</th>
                <td>{number(peopleIn(one))}</td>
                <td>{number(one.named)}</td>
                <td>{number(one.anonymous)}</td>
                <td>{number(one.guests)}</td>
                <td>{number(Math.round(one.held * 100))} %</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

function Reactions({ counts }: { counts: Record<string, number> }) {
  const sorted = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  const most = sorted[0]?.[1] ?? 0;
  if (most === 0) return null;
  return (
    <section class="card stack" aria-labelledby="reactions">
      <h2 id="reactions">{t("admin.reactions")}</h2>
      <ul class={styles.reactions}>
        {sorted.map(([kind, count]) => {
          const known = reactionOf(kind);
          return (
            <li key={kind}>
              <span class={styles.emoji}>{known ? <img src={known.picture} alt={t(known.name)} /> : kind}</span>
              <span class={styles.track} aria-hidden="true">
                <span style={{ width: `${(count / most) * 100}%` }} />
              </span>
              <span class={styles.reactionCount}>{number(count)}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
