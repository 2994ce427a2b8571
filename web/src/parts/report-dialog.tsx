import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { kept, Select, TextArea } from "@/ui/field";
import { toast } from "@/ui/toast";

/** What is reported: a Space, somebody in it, or a clip of it. */
export type Reported =
  | { kind: "space"; space: string }
  | { kind: "account"; space: string; account: string; name: string }
  | { kind: "clip"; space: string; clip: number };

/** As `limits.report_reasons` of the server. */
const REASONS = ["abuse", "hate", "violence", "self_harm", "private_information", "spam", "other"] as const;
type Reason = (typeof REASONS)[number];

/** Asks why, and tells the moderators. */
export function ReportDialog({ of, onClose }: { of: Reported | null; onClose: () => void }) {
  const reason = useSignal<Reason>("abuse");
  const detail = useSignal("");
  const trouble = useSignal<string | null>(null);
  if (!of) return null;
  const send = async () => {
    try {
      await report(of, { reason: reason.value, detail: detail.value });
    } catch (error) {
      trouble.value = explain(error);
      return;
    }
    toast(t("people.reported"));
    detail.value = "";
    onClose();
  };
  const title =
    of.kind === "account"
      ? t("people.reportSomebody", { name: of.name })
      : t(of.kind === "clip" ? "people.reportClip" : "people.reportSpace");
  return (
    <Dialog
      title={title}
      open
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" onClick={send}>
            {t("people.sendReport")}
          </Button>
        </>
      }
    >
      <Select
        label={t("people.reportReason")}
        value={reason.value}
        options={REASONS.map((key) => [key, t(`people.reason_${key}`)] as const)}
        onChange={(value) => {
          reason.value = value;
        }}
      />
      <TextArea
        label={t("people.reportDetail")}
        hint={t("people.reportHint")}
        error={trouble.value}
        maxLength={4000}
        {...kept(detail)}
      />
    </Dialog>
  );
}

function report(of: Reported, body: { reason: string; detail: string }): Promise<unknown> {
  const { space } = of;
  if (of.kind === "space") return ok(api.POST("/api/v1/spaces/{space}/reports", { params: { path: { space } }, body }));
  if (of.kind === "clip") {
    return ok(
      api.POST("/api/v1/spaces/{space}/clips/{clip}/reports", { params: { path: { space, clip: of.clip } }, body }),
    );
  }
  return ok(
    api.POST("/api/v1/spaces/{space}/people/{account}/reports", {
      params: { path: { space, account: of.account } },
      body,
    }),
  );
}
