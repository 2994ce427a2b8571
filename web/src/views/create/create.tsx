import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { Refused } from "@/parts/refused";
import { SignInNeeded } from "@/parts/sign-in-needed";
import { loadLimits } from "@/state/limits";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./create.module.css";
import { creation, type Draft, emptyDraft, placed, type Troubles, troubles } from "./draft";
import { ownCommunities } from "./own-communities";
import { type Invited, invite, PeoplePicker } from "./people-picker";
import { SpaceForm } from "./space-form";

/** A new Space, for now or for later. */
export default function Create() {
  const me = account.value;
  const known = useLoaded(async () => {
    const [limits, communities] = await Promise.all([loadLimits(), me ? ownCommunities() : []]);
    return { limits, communities };
  }, [me?.id]);
  const head = <PageHead title={t("home.newSpace")} lead={t("home.newSpaceLead")} />;
  if (me === undefined) return <Loading />;
  if (me === null) return <SignInNeeded title={t("home.createNeedsAccount")} />;
  if (me.protected) {
    return (
      <>
        {head}
        <Empty title={t("home.protectedCannot")}>
          <LinkButton href="/settings">{t("common.settings")}</LinkButton>
        </Empty>
      </>
    );
  }
  if (known.error.value) return <Refused page error={known.error.value} onRetry={known.again} />;
  if (!known.value.value) return <Loading />;
  const { limits, communities } = known.value.value;
  return (
    <>
      {head}
      <NewSpace limits={limits} communities={communities} />
    </>
  );
}

function NewSpace({ limits, communities }: Pick<Parameters<typeof SpaceForm>[0], "limits" | "communities">) {
  const { query, route } = useLocation();
  const draft = useSignal<Draft>({
    ...emptyDraft(navigator.language.split("-")[0] ?? ""),
    topics: query.topic ? [query.topic] : [],
    community: query.community ?? "",
    scheduled: false,
  });
  const people = useSignal<Invited[]>([]);
  const wrong = useSignal<Troubles>({});
  const trouble = useSignal<string | null>(null);
  const submit = async () => {
    wrong.value = troubles(draft.value, limits, Date.now());
    trouble.value = null;
    if (Object.keys(wrong.value).length > 0) {
      trouble.value = t("home.lookBelow");
      return;
    }
    let space: string;
    try {
      space = (await ok(api.POST("/api/v1/spaces", { body: creation(draft.value) }))).id;
    } catch (error) {
      const { beside, rest } = placed(error, draft.value);
      wrong.value = beside;
      trouble.value = rest ?? t("home.lookBelow");
      return;
    }
    // The Space is there: an invitation that is refused is told, and does not keep it back.
    for (const one of people.value) await invite(space, one).catch((error) => toast(explain(error), "warn"));
    toast(t(draft.value.scheduled ? "home.scheduled" : "home.created"));
    route(`/s/${space}`);
  };
  return (
    <div class={styles.page}>
      {trouble.value && (
        <p class={styles.trouble} role="alert">
          {trouble.value}
        </p>
      )}
      <SpaceForm draft={draft} wrong={wrong.value} limits={limits} communities={communities}>
        <PeoplePicker people={people} />
      </SpaceForm>
      <div class={styles.bar}>
        <Button kind="primary" onClick={submit}>
          {t(draft.value.scheduled ? "home.schedule" : "home.create")}
        </Button>
      </div>
    </div>
  );
}
