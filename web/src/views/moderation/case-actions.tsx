import { useSignal } from "@preact/signals";
import { Gavel, Hand, OctagonX, Undo2 } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { TextArea } from "@/ui/field";
import { toast } from "@/ui/toast";

type Case = Schema<"CaseView">;
type What = "upheld" | "dismissed" | "end";

/** Takes a case, gives it back, ends it with a reason; ends a live Space for breaking the rules. */
export function CaseActions({ of, live, onDone }: { of: Case; live: boolean; onDone: () => Promise<void> }) {
  const asked = useSignal<What | null>(null);
  const path = { params: { path: { id: of.id } } };
  const mine = of.moderator === account.value?.id;
  const claim = async () => {
    await ok(api.POST("/api/v1/moderation/cases/{id}/claim", path));
    await onDone();
  };
  const release = async () => {
    await ok(api.POST("/api/v1/moderation/cases/{id}/release", path));
    await onDone();
  };
  const act = async (what: What, why: string) => {
    if (what === "end") {
      const space = { params: { path: { space: of.space } } };
      await ok(api.POST("/api/v1/moderation/spaces/{space}/end", { ...space, body: { why } }));
    } else {
      await ok(api.POST("/api/v1/moderation/cases/{id}/resolve", { ...path, body: { outcome: what, why } }));
    }
    toast(t(what === "end" ? "admin.spaceEnded" : "admin.resolved"));
    asked.value = null;
    await onDone();
  };
  const ask = (what: What) => () => {
    asked.value = what;
  };
  return (
    <section class="card stack" aria-labelledby="actions">
      <h2 id="actions">{t("admin.actions")}</h2>
      {of.state === "open" && (
        <Button kind="primary" icon={Hand} onClick={claim}>
          {t("admin.claim")}
        </Button>
      )}
      {of.state === "claimed" && mine && (
        <Button icon={Undo2} onClick={release}>
          {t("admin.release")}
        </Button>
      )}
      {of.state !== "resolved" && (
        <>
          <Button icon={Gavel} onClick={ask("upheld")}>
            {t("admin.uphold")}
          </Button>
          <Button onClick={ask("dismissed")}>{t("admin.dismiss")}</Button>
        </>
      )}
      {live && (
        <Button kind="danger" icon={OctagonX} onClick={ask("end")}>
          {t("admin.endSpace")}
        </Button>
      )}
      {of.state === "resolved" && !live && <p class="soft">{t("admin.nothingToDo")}</p>}
      <WhyDialog
        what={asked.value}
        onClose={() => {
          asked.value = null;
        }}
        onSure={act}
      />
    </section>
  );
}

interface WhyProps {
  what: What | null;
  onClose: () => void;
  onSure: (what: What, why: string) => Promise<void>;
}

/** Nothing is done to anybody without a reason, which goes into the trail. */
function WhyDialog({ what, onClose, onSure }: WhyProps) {
  const why = useSignal("");
  const trouble = useSignal<string | null>(null);
  if (!what) return null;
  const sure = async () => {
    try {
      await onSure(what, why.value);
      why.value = "";
      trouble.value = null;
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <Dialog
      title={t(`admin.sure_${what}`)}
      open
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind={what === "dismissed" ? "primary" : "danger"} disabled={!why.value.trim()} onClick={sure}>
            {t(`admin.do_${what}`)}
          </Button>
        </>
      }
    >
      <p>{t(`admin.means_${what}`)}</p>
      <TextArea
        label={t("admin.why")}
        hint={t("admin.whyHint")}
        error={trouble.value}
        maxLength={400}
        required
        value={why.value}
        onValue={(value) => {
          why.value = value;
        }}
      />
    </Dialog>
  );
}
