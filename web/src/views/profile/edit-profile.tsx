import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { refreshSession } from "@/state/session";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field, TextArea } from "@/ui/field";
import { toast } from "@/ui/toast";

const MOST = { name: 50, description: 160, picture: 2048 } as const;

interface Props {
  open: Signal<boolean>;
  of: Schema<"ProfileAnswer">;
  onSaved: () => Promise<void>;
}

/** One's own name, words and picture. */
export function EditProfile({ open, of, onSaved }: Props) {
  const { route } = useLocation();
  const filled = useSignal({ handle: of.handle, name: of.name, description: of.description, picture: of.picture });
  const trouble = useSignal<string | null>(null);
  useEffect(() => {
    filled.value = { handle: of.handle, name: of.name, description: of.description, picture: of.picture };
  }, [of]);
  const now = filled.value;
  const set = (change: Partial<typeof now>) => {
    filled.value = { ...filled.value, ...change };
  };
  const close = () => {
    open.value = false;
  };
  const pictureWrong = now.picture !== "" && !now.picture.startsWith("https://") ? t("home.pictureWrong") : null;
  const handleWrong = /^[0-9a-z_]{1,15}$/i.test(now.handle) ? null : t("home.handleWrong");
  const save = async () => {
    if (pictureWrong || handleWrong || !now.name.trim()) return;
    try {
      const saved = await ok(api.PATCH("/api/v1/me", { body: now }));
      await refreshSession();
      toast(t("home.saved"));
      close();
      if (saved.handle !== of.handle) route(`/@${saved.handle}`, true);
      else await onSaved();
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <Dialog
      title={t("home.editProfile")}
      open={open.value}
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{t("common.cancel")}</Button>
          <Button kind="primary" onClick={save}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      {trouble.value && <p role="alert">{trouble.value}</p>}
      <Field
        label={t("home.name")}
        hint={t("home.length", { count: now.name.length, most: MOST.name })}
        error={now.name.trim() ? null : t("home.nameMissing")}
        maxLength={MOST.name}
        autoComplete="name"
        value={now.name}
        onValue={(name) => set({ name })}
      />
      <Field
        label={t("home.handle")}
        error={handleWrong}
        maxLength={15}
        autoComplete="username"
        value={now.handle}
        onValue={(handle) => set({ handle })}
      />
      <TextArea
        label={t("home.about")}
        hint={t("home.length", { count: now.description.length, most: MOST.description })}
        maxLength={MOST.description}
        value={now.description}
        onValue={(description) => set({ description })}
      />
      <Field
        label={t("home.picture")}
        hint={t("home.pictureHint")}
        error={pictureWrong}
        type="url"
        maxLength={MOST.picture}
        value={now.picture}
        onValue={(picture) => set({ picture })}
      />
    </Dialog>
  );
}
