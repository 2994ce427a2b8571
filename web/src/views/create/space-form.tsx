import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { t } from "@/i18n";
import type { Limits } from "@/state/limits";
import { Field, Select, Switch, TextArea } from "@/ui/field";
import { Choice } from "./choice";
import { type Draft, length, type Troubles } from "./draft";
import { languageNames } from "./language-names";
import { TicketFields } from "./ticket-fields";
import { TopicPicker } from "./topic-picker";
import { WhenField } from "./when-field";

interface Props {
  draft: Signal<Draft>;
  wrong: Troubles;
  limits: Limits;
  /** What the Space is already: then language, community and tickets are settled. */
  status?: "lobby" | "scheduled" | "live";
  communities: readonly (readonly [string, string])[];
  children?: ComponentChildren;
}

/** Everything that a Space has before it starts. */
export function SpaceForm({ draft, wrong, limits, status, communities, children }: Props) {
  const now = draft.value;
  const set = (change: Partial<Draft>) => {
    draft.value = { ...draft.value, ...change };
  };
  const counted = (text: string, most: number) => t("home.length", { count: length(text), most });
  return (
    <>
      <section class="card stack">
        <Field
          label={t("home.title")}
          hint={counted(now.title, limits.max_title)}
          error={wrong.title}
          placeholder={t("home.titleHint")}
          value={now.title}
          onValue={(title) => set({ title })}
        />
        <TextArea
          label={t("home.description")}
          hint={counted(now.description, limits.max_description)}
          error={wrong.description}
          value={now.description}
          onValue={(description) => set({ description })}
        />
        <TopicPicker
          chosen={now.topics}
          most={limits.max_topics}
          error={wrong.topics}
          onChange={(topics) => set({ topics })}
        />
        {!status && (
          <Select
            label={t("home.language")}
            value={now.lang}
            options={languageNames(now.lang)}
            onChange={(lang) => set({ lang })}
          />
        )}
      </section>
      {status !== "live" && status !== "lobby" && (
        <WhenField
          scheduled={now.scheduled}
          at={now.at}
          error={wrong.at}
          days={limits.horizon_days}
          fixed={status !== undefined}
          onChange={set}
        />
      )}
      <section class="card stack">
        <Choice
          legend={t("home.whoSpeaks")}
          name="speak"
          value={now.speak}
          options={(["everyone", "followed", "invited"] as const).map((key) => [
            key,
            t(`home.speak_${key}`),
            t(`home.speak_${key}Hint`),
          ])}
          onChange={(speak) => set({ speak })}
        />
        <Switch
          label={t("home.requests")}
          hint={t("home.requestsHint")}
          checked={now.requestsOpen}
          onChange={(requestsOpen) => set({ requestsOpen })}
        />
      </section>
      <section class="card stack">
        <h2>{t("home.keeps")}</h2>
        <Switch
          label={t("home.record")}
          hint={wrong.record ?? t(status === "live" ? "home.recordFrozen" : "home.recordHint")}
          checked={now.record}
          disabled={status === "live"}
          onChange={(record) => set({ record })}
        />
        <Switch
          label={t("home.clips")}
          hint={t("home.clipsHint")}
          checked={now.clips}
          onChange={(clips) => set({ clips })}
        />
        <Switch
          label={t("home.captions")}
          hint={t("home.captionsHint")}
          checked={now.captions}
          onChange={(captions) => set({ captions })}
        />
      </section>
      {!status && communities.length > 0 && (
        <section class="card">
          <Select
            label={t("home.community")}
            hint={t("home.communityHint")}
            error={wrong.community}
            value={now.community}
            options={[["", t("home.noCommunity")], ...communities]}
            onChange={(community) => set({ community })}
          />
        </section>
      )}
      {!status && <TicketFields draft={now} wrong={wrong} onChange={set} />}
      {children}
    </>
  );
}
