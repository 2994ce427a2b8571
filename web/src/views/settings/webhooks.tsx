import { useSignal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";
import { relative, t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Menu } from "@/ui/menu";
import { type Hands, type Making, SecretList } from "./secret-list";
import styles from "./settings.module.css";

/** Addresses that are told what happens in one's Spaces (an operator's: in all). */
export function Webhooks() {
  const path = (id: string) => ({ params: { path: { id } } });
  const rotate = async (id: string, { tell, again }: Hands) => {
    const { secrets } = await ok(api.POST("/api/v1/webhooks/{id}/rotate", path(id)));
    tell(secrets[0] ?? null);
    await again();
  };
  const remove = async (id: string, { again }: Hands) => {
    await ok(api.DELETE("/api/v1/webhooks/{id}", path(id)));
    await again();
  };
  return (
    <SecretList
      title={t("settings.webhooks")}
      lead={t("settings.webhooksLead")}
      load={() => ok(api.GET("/api/v1/webhooks"))}
      keyOf={(one) => one.id}
      row={(one) => (
        <>
          <p class={styles.small}>
            <strong>{one.url}</strong>
          </p>
          <p class={styles.small}>{standing(one)}</p>
        </>
      )}
      actions={(one, hands) => (
        <Menu
          label={t("settings.appActions", { name: one.url })}
          items={[
            { label: t("settings.newSecret"), onChoose: () => rotate(one.id, hands) },
            { label: t("settings.remove"), danger: true, onChoose: () => remove(one.id, hands) },
          ]}
        />
      )}
      newLabel={t("settings.newWebhook")}
      dialog={(making) => <NewWebhook {...making} />}
    />
  );
}

function standing(one: Schema<"EndpointView">): string {
  const what = one.space ? t("settings.ofSpace", { space: one.space }) : t("settings.ofAll");
  if (one.disabled) return `${what} · ${t("settings.disabled", { why: one.disabled_why })}`;
  return one.failing_since ? `${what} · ${t("settings.failing", { when: relative(one.failing_since) })}` : what;
}

function NewWebhook({ open, onClose, onMade }: Making) {
  const url = useSignal("");
  const space = useSignal("");
  const operator = account.value?.operator ?? false;
  const make = async () => {
    // The link of a Space, or its id alone.
    const id = space.value.trim().replace(/^.*\/s\//, "") || null;
    const made = await ok(api.POST("/api/v1/webhooks", { body: { url: url.value, events: [], space: id } }));
    url.value = space.value = "";
    onMade(made.secrets[0] ?? null);
  };
  return (
    <Dialog
      title={t("settings.newWebhook")}
      open={open}
      onClose={onClose}
      actions={
        <Button kind="primary" disabled={!url.value || (!operator && !space.value)} onClick={make}>
          {t("settings.create")}
        </Button>
      }
    >
      <Field label={t("settings.url")} type="url" value={url.value} onValue={(value) => (url.value = value)} />
      <Field
        label={t("settings.space")}
        hint={operator ? t("settings.spaceHint") : undefined}
        value={space.value}
        onValue={(value) => (space.value = value)}
      />
    </Dialog>
  );
}
