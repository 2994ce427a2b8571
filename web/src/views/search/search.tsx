import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { handleIn } from "@/parts/find-account";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { liveFirst, SpaceCard, type SpaceLine } from "@/parts/space-card";
import { loadTopics, topics } from "@/state/topics";
import { Field, Select } from "@/ui/field";
import { Empty } from "@/ui/states";
import { TopicList } from "../home/topic-list";
import { PersonFound } from "./person-found";
import { searchAddress, searchable } from "./query";
import styles from "./search.module.css";

const PAUSE_MS = 300;
const idOf = (space: SpaceLine) => space.id;

/** Spaces by words and topic, and somebody by their handle, while one types. What is searched for is in the address. */
export default function Search() {
  const { query, route } = useLocation();
  const asked = query.q ?? "";
  const topic = query.topic ?? "";
  const text = useSignal(asked);
  useEffect(() => {
    loadTopics().catch(() => {}); // then it is searched without choosing a topic
  }, []);
  useEffect(() => {
    // Back and forth in the history, or a link from elsewhere; not while somebody adds a space.
    if (text.value.trim() !== asked) text.value = asked;
  }, [asked]);
  const typed = text.value;
  useEffect(() => {
    if (typed.trim() === asked) return;
    const later = setTimeout(() => route(searchAddress(typed, topic), true), PAUSE_MS);
    return () => clearTimeout(later);
  }, [typed]);
  const words = searchable(asked);
  return (
    <>
      <PageHead title={t("common.search")} />
      {/* biome-ignore lint/a11y/useSemanticElements: <search> is not known by all screen readers yet */}
      <form
        role="search"
        class={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          route(searchAddress(typed, topic), true);
        }}
      >
        <Field
          label={t("home.searchWords")}
          type="search"
          name="q"
          placeholder={t("home.searchHint")}
          maxLength={200}
          autoComplete="off"
          value={typed}
          onValue={(value) => {
            text.value = value;
          }}
        />
        <Select
          label={t("home.topic")}
          value={topic}
          options={[["", t("home.anyTopic")], ...topics.value.map((one) => [one.id, one.name] as const)]}
          onChange={(value) => route(searchAddress(typed, value), true)}
        />
      </form>
      {words ? <Results words={words} topic={topic} handle={handleIn(asked)} /> : <Start topic={topic} />}
    </>
  );
}

function Start({ topic }: { topic: string }) {
  if (topic) return <Empty title={t("home.searchSomething")} />;
  return (
    <section class="stack" aria-labelledby="topics">
      <h2 id="topics">{t("home.browseTopics")}</h2>
      <TopicList />
    </section>
  );
}

function Results({ words, topic, handle }: { words: string; topic: string; handle: string | null }) {
  const spaces = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/search/spaces", { params: { query: { query: words, topic: topic || undefined, cursor } } })),
    idOf,
    [words, topic],
  );
  const found = spaces.items.value;
  const more = spaces.hasMore.value;
  return (
    <>
      <p class={styles.count} role="status">
        {found && t(more ? "home.foundMore" : "home.found", { count: found.length, words })}
      </p>
      {handle && <PersonFound key={handle} handle={handle} />}
      <PagedList
        of={spaces}
        id={idOf}
        look="cards"
        order={liveFirst}
        label={t("home.searchResults")}
        render={(space) => <SpaceCard space={space} />}
        empty={<Empty title={t("home.noneFound")} />}
      />
    </>
  );
}
