import { useEffect } from "preact/hooks";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { liveFirst, SpaceCard, type SpaceLine } from "@/parts/space-card";
import { usePolling } from "@/parts/use-polling";
import { loadTopics, topicName, topics } from "@/state/topics";
import { LinkButton } from "@/ui/link-button";
import { Empty } from "@/ui/states";

const EVERY_MS = 20_000;
const idOf = (space: SpaceLine) => space.id;

/** Live and scheduled Spaces about something. */
export default function Topic({ topic }: { topic: string }) {
  const spaces = usePaged(
    (cursor) => ok(api.GET("/api/v1/topics/{topic}/spaces", { params: { path: { topic }, query: { cursor } } })),
    idOf,
    [topic],
  );
  usePolling(spaces.again, EVERY_MS);
  useEffect(() => {
    loadTopics().catch(() => {}); // then its id is shown
  }, []);
  const about = topics.value.find((one) => one.id === topic)?.description;
  return (
    <>
      <PageHead title={topicName(topic)} lead={about} />
      <PagedList
        of={spaces}
        id={idOf}
        look="cards"
        order={liveFirst}
        label={topicName(topic)}
        render={(space) => <SpaceCard space={space} />}
        empty={
          <Empty title={t("home.noneOnTopic")}>
            <LinkButton kind="primary" href={`/create?topic=${topic}`}>
              {t("common.createSpace")}
            </LinkButton>
          </Empty>
        }
      />
    </>
  );
}
