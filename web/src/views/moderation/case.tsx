import { api, ok, type Schema } from "@/api/client";
import { dateTimeRange, t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { PersonLink, PersonRow } from "@/parts/people";
import { Refused } from "@/parts/refused";
import { Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { BanForm } from "./ban-form";
import { CaseActions } from "./case-actions";
import { Console } from "./moderation";
import styles from "./moderation.module.css";
import { Review } from "./review";

type Whole = Schema<"CaseWhole">;

/** `/moderation/cases/:id`: one case with its reports, what may be heard, and what is done. */
export default function Case({ id }: { id: string }) {
  return (
    <Console part="cases">
      <OneCase id={id} />
    </Console>
  );
}

function OneCase({ id }: { id: string }) {
  const found = useLoaded(async () => {
    const whole = await ok(api.GET("/api/v1/moderation/cases/{id}", { params: { path: { id } } }));
    // A Space that is gone, or not for this account (a block), is still a case.
    const asked = ok(api.GET("/api/v1/spaces/{space}", { params: { path: { space: whole.case.space } } }));
    return { whole, space: await asked.catch(() => null) };
  }, [id]);
  if (found.error.value) return <Refused error={found.error.value} onRetry={found.again} />;
  if (!found.value.value) return <Loading />;
  const { whole, space } = found.value.value;
  const one = whole.case;
  return (
    <div class={styles.columns}>
      <div class="stack">
        <p>
          <a href="/moderation">{t("admin.backToQueue")}</a>
        </p>
        <section class="card stack" aria-labelledby="case">
          <h2 id="case">{t(`admin.kind_${one.kind as "space" | "account" | "clip"}`)}</h2>
          {one.kind === "account" && <PersonRow id={one.subject} />}
          <dl class={styles.facts}>
            <dt>{t("home.aSpace")}</dt>
            <dd>
              <a href={one.kind === "clip" ? `/s/${one.space}/clips/${one.subject}` : `/s/${one.space}`}>
                {space?.title || one.space}
              </a>
              {space && <span class={styles.tag}>{t(`admin.status_${space.status}`)}</span>}
            </dd>
            {space && (
              <>
                <dt>{t("home.host")}</dt>
                <dd>
                  <PersonLink id={space.creator} />
                </dd>
              </>
            )}
            <dt>{t("admin.opened")}</dt>
            <dd>
              <DateTime at={one.opened} />
            </dd>
            <dt>{t("admin.evidence")}</dt>
            <dd>{dateTimeRange(one.evidence.since, one.evidence.until)}</dd>
            <dt>{t("admin.state")}</dt>
            <dd>
              {t(`admin.state_${one.state as "open" | "claimed" | "resolved"}`)}
              {one.moderator && (
                <>
                  {" · "}
                  <PersonLink id={one.moderator} />
                </>
              )}
              {one.outcome && ` · ${t(`admin.outcome_${one.outcome as "dismissed" | "upheld"}`)}`}
            </dd>
          </dl>
        </section>
        <Reports reports={whole.reports} />
        <Review case={one.id} />
      </div>
      <div class="stack">
        <CaseActions of={one} live={space?.status === "live"} onDone={found.again} />
        {one.kind === "account" && <BanForm account={one.subject} />}
      </div>
    </div>
  );
}

function Reports({ reports }: { reports: Whole["reports"] }) {
  return (
    <section class="card stack" aria-labelledby="reports">
      <h2 id="reports">{t("admin.reports")}</h2>
      <ul class="stack">
        {reports.map((report) => (
          <li key={`${report.by} ${report.at}`} class={styles.report}>
            <p>
              <strong>{reasonText(report.reason)}</strong> · <PersonLink id={report.by} /> ·{" "}
              <DateTime at={report.at} from="now" />
            </p>
            {report.detail && <blockquote>{report.detail}</blockquote>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A reason in words; one that only this deployment has, as it is. */
function reasonText(reason: string): string {
  const key = `people.reason_${reason}` as "people.reason_other";
  const text = t(key);
  return text === key ? reason : text;
}
