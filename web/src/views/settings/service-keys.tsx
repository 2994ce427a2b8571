import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { dateTime, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { type Hands, type Making, SecretList } from "./secret-list";
import styles from "./settings.module.css";

/** Keys with which another product signs its own people in. For operators. */
export function ServiceKeys() {
  const revoke = async (key: string, { again }: Hands) => {
    await ok(api.DELETE("/api/v1/service-keys/{key}", { params: { path: { key } } }));
    await again();
  };
  return (
    <SecretList
      title={t("settings.serviceKeys")}
      lead={t("settings.serviceKeysLead")}
      load={() => ok(api.GET("/api/v1/service-keys"))}
      keyOf={(one) => one.id}
      row={(one) => (
        <>
          <p>
            {one.name} <code>{one.namespace}</code>
          </p>
          <p class={styles.small}>{one.scopes.join(" · ")}</p>
          {one.revoked_at && <p class={styles.small}>{t("settings.revoked", { when: dateTime(one.revoked_at) })}</p>}
        </>
      )}
      actions={(one, hands) =>
        !one.revoked_at && (
          <Button small kind="danger" onClick={() => revoke(one.id, hands)}>
            {t("settings.revoke")}
          </Button>
        )
      }
      newLabel={t("settings.newKey")}
      dialog={(making) => <NewKey {...making} />}
    />
  );
}

function NewKey({ open, onClose, onMade }: Making) {
  const name = useSignal("");
  const make = async () => {
    const body = {
      name: name.value,
      namespace: name.value.toLowerCase().replace(/[^a-z0-9]+/g, "-"),
      scopes: ["space.read", "users.read", "space.join", "join_tokens", "act_as"],
      jwks: null,
      per_minute: 600,
    };
    const made = await ok(api.POST("/api/v1/service-keys", { body }));
    name.value = "";
    onMade(made.secret);
  };
  return (
    <Dialog
      title={t("settings.newKey")}
      open={open}
      onClose={onClose}
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
  );
}
