import { type Signal, useSignal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field, Switch, TextArea } from "@/ui/field";

type View = Schema<"CommunityView">;

/** Makes a community, or changes the one given. */
export function CommunityDialog({
  open,
  of,
  onSaved,
}: {
  open: Signal<boolean>;
  of?: View;
  onSaved: (made: View) => unknown;
}) {
  const filled = useSignal({
    handle: of?.handle ?? "",
    name: of?.name ?? "",
    description: of?.description ?? "",
    open: of?.open ?? true,
  });
  const trouble = useSignal<string | null>(null);
  const now = filled.value;
  const set = (change: Partial<typeof now>) => {
    filled.value = { ...filled.value, ...change };
  };
  const close = () => {
    open.value = false;
  };
  const save = async () => {
    trouble.value = null;
    const { handle, ...rest } = filled.value;
    try {
      const made = of
        ? await ok(api.PATCH("/api/v1/communities/{community}", { params: { path: { community: of.id } }, body: rest }))
        : await ok(api.POST("/api/v1/communities", { body: { handle: handle.toLowerCase(), ...rest } }));
      close();
      await onSaved(made);
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <Dialog
      title={t(of ? "home.editCommunity" : "home.newCommunity")}
      open={open.value}
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={!now.name.trim() || (!of && !now.handle.trim())} onClick={save}>
            {t(of ? "common.save" : "home.makeCommunity")}
          </Button>
        </>
      }
    >
      {trouble.value && <p role="alert">{trouble.value}</p>}
      <Field label={t("home.name")} maxLength={80} value={now.name} onValue={(name) => set({ name })} />
      {!of && (
        <Field
          label={t("home.handle")}
          hint={t("home.communityHandleHint")}
          maxLength={15}
          value={now.handle}
          onValue={(handle) => set({ handle })}
        />
      )}
      <TextArea
        label={t("home.description")}
        maxLength={400}
        value={now.description}
        onValue={(description) => set({ description })}
      />
      <Switch
        label={t("home.openCommunity")}
        hint={t("home.openCommunityHint")}
        checked={now.open}
        onChange={(value) => set({ open: value })}
      />
    </Dialog>
  );
}
