import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { Refused } from "@/parts/refused";
import { SpaceLinks } from "@/parts/space-links";
import { type Limits, loadLimits } from "@/state/limits";
import { Button } from "@/ui/button";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import { CancelSpace } from "./cancel-space";
import styles from "./create.module.css";
import { type Draft, draftOf, edition, placed, type Troubles, troubles } from "./draft";
import { Invites } from "./invites";
import { SpaceForm } from "./space-form";

type Space = Schema<"SpaceView">;

/** What the host changes of a Space that has not ended. */
export default function Edit({ space }: { space: string }) {
  const known = useLoaded(async () => {
    const [found, limits] = await Promise.all([
      ok(api.GET("/api/v1/spaces/{space}", { params: { path: { space } } })),
      loadLimits(),
    ]);
    return { found, limits };
  }, [space]);
  if (known.error.value) return <Refused page error={known.error.value} onRetry={known.again} />;
  if (!known.value.value) return <Loading />;
  const { found, limits } = known.value.value;
  const head = (
    <PageHead title={t("home.editSpace")}>
      <SpaceLinks space={found} />
    </PageHead>
  );
  if (!["lobby", "scheduled", "live"].includes(found.status) || found.you.role !== "host") {
    return (
      <>
        {head}
        <Empty title={t(found.you.role === "host" ? "home.overCannotEdit" : "home.onlyHostEdits")}>
          <LinkButton href={`/s/${space}`}>{t("home.openSpace")}</LinkButton>
        </Empty>
      </>
    );
  }
  return (
    <>
      {head}
      <EditForm key={found.version} space={found} limits={limits} onSaved={known.again} />
    </>
  );
}

function EditForm({ space, limits, onSaved }: { space: Space; limits: Limits; onSaved: () => Promise<void> }) {
  const { route } = useLocation();
  const was = draftOf(space);
  const draft = useSignal<Draft>(was);
  const wrong = useSignal<Troubles>({});
  const trouble = useSignal<string | null>(null);
  const save = async () => {
    wrong.value = troubles(draft.value, limits, Date.now(), was.at);
    trouble.value = null;
    if (Object.keys(wrong.value).length > 0) {
      trouble.value = t("home.lookBelow");
      return;
    }
    try {
      await apply(space.id, draft.value, was);
    } catch (error) {
      const { beside, rest } = placed(error, draft.value);
      wrong.value = beside;
      trouble.value = rest ?? t("home.lookBelow");
      return;
    }
    toast(t("home.saved"));
    await onSaved();
  };
  return (
    <div class={styles.page}>
      {trouble.value && (
        <p class={styles.trouble} role="alert">
          {trouble.value}
        </p>
      )}
      <SpaceForm
        draft={draft}
        wrong={wrong.value}
        limits={limits}
        status={space.status as "lobby" | "scheduled" | "live"}
        communities={[]}
      >
        <Invites space={space.id} live={space.status === "live"} />
      </SpaceForm>
      {space.status !== "live" && <CancelSpace space={space.id} ticketed={space.ticketing !== null} />}
      <div class={styles.bar}>
        <Button onClick={() => route(`/s/${space.id}`)}>{t("common.back")}</Button>
        <Button kind="primary" onClick={save}>
          {t("common.save")}
        </Button>
      </div>
    </div>
  );
}

/** Asks for every change that there is. What was changed before a refusal stays changed. */
async function apply(space: string, draft: Draft, was: Draft): Promise<void> {
  const params = { path: { space } };
  const body = edition(draft, was);
  if (body) await ok(api.PATCH("/api/v1/spaces/{space}", { params, body }));
  if (draft.speak !== was.speak)
    await ok(api.PUT("/api/v1/spaces/{space}/settings/speak", { params, body: { speak: draft.speak } }));
  if (draft.requestsOpen !== was.requestsOpen)
    await ok(api.PUT("/api/v1/spaces/{space}/settings/requests", { params, body: { open: draft.requestsOpen } }));
  if (draft.record !== was.record)
    await ok(api.PUT("/api/v1/spaces/{space}/settings/record", { params, body: { on: draft.record } }));
  if (draft.clips !== was.clips)
    await ok(api.PUT("/api/v1/spaces/{space}/settings/clips", { params, body: { on: draft.clips } }));
  if (draft.captions !== was.captions)
    await ok(api.PUT("/api/v1/spaces/{space}/settings/captions", { params, body: { on: draft.captions } }));
}
