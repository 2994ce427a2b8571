import { useSignal } from "@preact/signals";
import { Plus } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { relative, t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Menu } from "@/ui/menu";
import { Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { SecretDialog } from "./secret";
import { Section } from "./section";
import styles from "./settings.module.css";

/** Addresses that are told what happens in one's Spaces (an operator's: in all). */
export function Webhooks() {
  const { value, error, again } = useLoaded(() => ok(api.GET("/api/v1/webhooks")), []);
  const making = useSignal(false);
  const secret = useSignal<string | null>(null);
  if (error.value !== null) return <Failed error={error.value} onRetry={again} />;
  const path = (id: string) => ({ params: { path: { id } } });
  const rotate = async (id: string) => {
    const { secrets } = await ok(api.POST("/api/v1/webhooks/{id}/rotate", path(id)));
    secret.value = secrets[0] ?? null;
    await again();
  };
  const remove = async (id: string) => {
    await ok(api.DELETE("/api/v1/webhooks/{id}", path(id)));
    await again();
  };
  return (
    <Section title={t("settings.webhooks")} lead={t("settings.webhooksLead")}>
      {!value.value ? (
        <Loading />
      ) : (
        <ul class={styles.lines}>
          {value.value.data.map((one) => (
            <li key={one.id}>
              <div class="grow">
                <p class={styles.small}>
                  <strong>{one.url}</strong>
                </p>
                <p class={styles.small}>{standing(one)}</p>
              </div>
              <Menu
                label={t("settings.appActions", { name: one.url })}
                items={[
                  { label: t("settings.newSecret"), onChoose: () => rotate(one.id) },
                  { label: t("settings.remove"), danger: true, onChoose: () => remove(one.id) },
                ]}
              />
            </li>
          ))}
        </ul>
      )}
      <div class="row">
        <Button icon={Plus} onClick={() => (making.value = true)}>
          {t("settings.newWebhook")}
        </Button>
      </div>
      <NewWebhook
        open={making.value}
        onClose={() => (making.value = false)}
        onMade={(made) => {
          making.value = false;
          secret.value = made;
          void again();
        }}
      />
      <SecretDialog secret={secret.value} onClose={() => (secret.value = null)} />
    </Section>
  );
}

function standing(one: Schema<"EndpointView">): string {
  const what = one.space ? t("settings.ofSpace", { space: one.space }) : t("settings.ofAll");
  if (one.disabled) return `${what} · ${t("settings.disabled", { why: one.disabled_why })}`;
  return one.failing_since ? `${what} · ${t("settings.failing", { when: relative(one.failing_since) })}` : what;
}

function NewWebhook({
  open,
  onClose,
  onMade,
}: {
  open: boolean;
  onClose: () => void;
  onMade: (secret: string | null) => void;
}) {
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
