import { useSignal } from "@preact/signals";
import { Headphones } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { clock, t } from "@/i18n";
import { nameOf, PersonLink } from "@/parts/people";
import { profile } from "@/state/profiles";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field, Select } from "@/ui/field";
import styles from "./moderation.module.css";

/** Listens to what was reported. A reason is asked for first; each listening is written down. */
export function Review({ case: id }: { case: string }) {
  const why = useSignal("");
  const trouble = useSignal<string | null>(null);
  const heard = useSignal<Schema<"ReviewView"> | null>(null);
  const listen = async () => {
    trouble.value = null;
    try {
      heard.value = await ok(
        api.POST("/api/v1/moderation/cases/{id}/review", {
          params: { path: { id } },
          body: { why: why.value, from_ms: null, to_ms: null },
        }),
      );
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <section class="card stack" aria-labelledby="review">
      <h2 id="review">{t("admin.review")}</h2>
      {heard.value ? (
        <Player of={heard.value} onAgain={listen} />
      ) : (
        <>
          <p class="soft">{t("admin.reviewLead")}</p>
          <Field
            label={t("admin.why")}
            error={trouble.value}
            maxLength={400}
            value={why.value}
            onValue={(value) => {
              why.value = value;
            }}
          />
          <div>
            <Button icon={Headphones} disabled={!why.value.trim()} onClick={listen}>
              {t("admin.listen")}
            </Button>
          </div>
        </>
      )}
    </section>
  );
}

function Player({ of, onAgain }: { of: Schema<"ReviewView">; onAgain: () => Promise<void> }) {
  const track = useSignal("");
  const failed = useSignal(false);
  const element = useSignal<HTMLAudioElement | null>(null);
  const chosen = of.tracks.find((one) => (one.account ?? "") === track.value) ?? of.tracks[0];
  if (!chosen) return <p class="soft">{t("admin.nothingHeard")}</p>;
  const jump = (ms: number) => {
    const audio = element.value;
    if (!audio) return;
    audio.currentTime = Math.max(0, (ms - of.stretch.from_ms) / 1_000);
    void audio.play().catch(() => {}); // the browser's own control says what is wrong
  };
  return (
    <>
      <Select
        label={t("admin.track")}
        value={track.value}
        options={of.tracks.map((one) => [
          one.account ?? "",
          one.account
            ? t("admin.trackOf", {
                name: nameOf(profile(one.account).value),
                time: clock(one.spoke_ms / 1_000),
              })
            : t("admin.mix"),
        ])}
        onChange={(value) => {
          track.value = value;
          failed.value = false;
        }}
      />
      {/* biome-ignore lint/a11y/useMediaCaption: what was said stands below, line by line */}
      <audio
        key={chosen.url}
        class={styles.audio}
        controls
        preload="metadata"
        src={chosen.url}
        aria-label={t("admin.review")}
        ref={(audio) => {
          element.value = audio;
        }}
        onError={() => {
          failed.value = true;
        }}
      />
      {failed.value && (
        <p class="spread" role="alert">
          {t("admin.linkOver")}
          <Button small onClick={onAgain}>
            {t("admin.listenAgain")}
          </Button>
        </p>
      )}
      <p class="soft">
        {t("admin.stretch", { from: clock(of.stretch.from_ms / 1_000), to: clock(of.stretch.to_ms / 1_000) })}
      </p>
      {of.captions.length > 0 && (
        <ol class={styles.lines}>
          {of.captions.map((line) => (
            <li key={`${line.from_ms} ${line.account}`}>
              <Button small kind="quiet" onClick={() => jump(line.from_ms)}>
                {clock(line.from_ms / 1_000)}
              </Button>
              <span>
                <PersonLink id={line.account} />: {line.text}
              </span>
            </li>
          ))}
        </ol>
      )}
    </>
  );
}
