import { useSignal } from "@preact/signals";
import { Plus } from "lucide";
import { api, ok } from "@/api/client";
import { dateTime, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { SecretDialog } from "./secret";
import { Section } from "./section";
import styles from "./settings.module.css";

/** Keys with which another product signs its own people in. For operators. */
export function ServiceKeys() {
  const { value, error, again } = useLoaded(() => ok(api.GET("/api/v1/service-keys")), []);
  const making = useSignal(false);
  const secret = useSignal<string | null>(null);
  const name = useSignal("");
  if (error.value !== null) return <Failed error={error.value} onRetry={again} />;
  const make = async () => {
    const body = {
      name: name.value,
      namespace: name.value.toLowerCase().replace(/[^a-z0-9]+/g, "-"),
      scopes: ["space.read", "users.read", "space.join", "join_tokens", "act_as"],
      jwks: null,
      per_minute: 600,
    };
    const made = await ok(api.POST("/api/v1/service-keys", { body }));
    making.value = false;
    name.value = "";
    secret.value = made.secret;
    await again();
  };
  const revoke = async (key: string) => {
    await ok(api.DELETE("/api/v1/service-keys/{key}", { params: { path: { key } } }));
    await again();
  };
  return (
    <Section title={t("settings.serviceKeys")} lead={t("settings.serviceKeysLead")}>
      {!value.value ? (
        <Loading />
      ) : (
        <ul class={styles.lines}>
          {value.value.data.map((one) => (
            <li key={one.id}>
              <div class="grow">
                <p>
                  {one.name} <code>{one.namespace}</code>
                </p>
                <p class={styles.small}>{one.scopes.join(" · ")}</p>
                {one.revoked_at && (
                  <p class={styles.small}>{t("settings.revoked", { when: dateTime(one.revoked_at) })}</p>
                )}
              </div>
              {!one.revoked_at && (
                <Button small kind="danger" onClick={() => revoke(one.id)}>
                  {t("settings.revoke")}
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      <div class="row">
        <Button icon={Plus} onClick={() => (making.value = true)}>
          {t("settings.newKey")}
        </Button>
      </div>
      <Dialog
        title={t("settings.newKey")}
        open={making.value}
        onClose={() => (making.value = false)}
        actions={
          <Button kind="primary" disabled={!name.value} onClick={make}>
            {t("settings.create")}
          </Button>
        }
      >
        <Field
          label={t("settings.keyName")}
          hint={t("settings.keyNameHint")}
          value={name.value}
          onValue={(value) => (name.value = value)}
        />
      </Dialog>
      <SecretDialog secret={secret.value} onClose={() => (secret.value = null)} />
    </Section>
  );
}
