import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { dateTime, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Switch, TextArea } from "@/ui/field";
import { Menu } from "@/ui/menu";
import { Failed, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { type Hands, type Making, SecretList } from "./secret-list";
import { Section } from "./section";
import styles from "./settings.module.css";

/** Apps of others that one let in. */
export function Grants() {
  const { value, error, again } = useLoaded(() => ok(api.GET("/api/v1/oauth/grants")), []);
  if (error.value !== null) return <Failed error={error.value} onRetry={again} />;
  const revoke = async (grant: string) => {
    await ok(api.DELETE("/api/v1/oauth/grants/{grant}", { params: { path: { grant } } }));
    await again();
  };
  return (
    <Section title={t("settings.grants")} lead={t("settings.grantsLead")}>
      {!value.value ? (
        <Loading />
      ) : value.value.data.length === 0 ? (
        <p class="soft">{t("settings.noGrants")}</p>
      ) : (
        <ul class={styles.lines}>
          {value.value.data.map((one) => (
            <li key={one.id}>
              <div class="grow">
                <p>{one.app}</p>
                <p class={styles.small}>{one.scopes.join(" · ")}</p>
                <p class={styles.small}>{t("settings.since", { when: dateTime(one.created_at) })}</p>
              </div>
              <Button small kind="danger" onClick={() => revoke(one.id)}>
                {t("settings.revoke")}
              </Button>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

/** One's own apps (OAuth clients). */
export function Apps() {
  const path = (client_id: string) => ({ params: { path: { client_id } } });
  const renew = async (client_id: string, { tell }: Hands) => {
    tell((await ok(api.POST("/api/v1/oauth/apps/{client_id}/secret", path(client_id)))).client_secret);
  };
  const remove = async (client_id: string, { again }: Hands) => {
    await ok(api.DELETE("/api/v1/oauth/apps/{client_id}", path(client_id)));
    await again();
  };
  return (
    <SecretList
      title={t("settings.apps")}
      lead={t("settings.appsLead")}
      load={() => ok(api.GET("/api/v1/oauth/apps"))}
      keyOf={(one) => one.client_id}
      row={(one) => (
        <>
          <p>{one.name}</p>
          <p class={styles.small}>
            <code>{one.client_id}</code>
          </p>
          <p class={styles.small}>{one.redirect_uris.join(" · ")}</p>
        </>
      )}
      actions={(one, hands) => (
        <Menu
          label={t("settings.appActions", { name: one.name })}
          items={[
            one.confidential && { label: t("settings.newSecret"), onChoose: () => renew(one.client_id, hands) },
            { label: t("settings.remove"), danger: true, onChoose: () => remove(one.client_id, hands) },
          ]}
        />
      )}
      newLabel={t("settings.newApp")}
      beside={<a href="/reference/">{t("settings.reference")}</a>}
      dialog={(making) => <NewApp {...making} />}
    />
  );
}

function NewApp({ open, onClose, onMade }: Making) {
  const name = useSignal("");
  const uris = useSignal("");
  const confidential = useSignal(true);
  const scopes = ["space.read", "tweet.read", "users.read", "offline.access", "space.join", "space.write"];
  const make = async () => {
    const body = {
      name: name.value,
      redirect_uris: uris.value.split(/\s+/).filter(Boolean),
      scopes,
      confidential: confidential.value,
    };
    const made = await ok(api.POST("/api/v1/oauth/apps", { body }));
    name.value = uris.value = "";
    onMade(made.client_secret);
  };
  return (
    <Dialog
      title={t("settings.newApp")}
      open={open}
      onClose={onClose}
      actions={
        <Button kind="primary" disabled={!name.value || !uris.value} onClick={make}>
          {t("settings.create")}
        </Button>
      }
    >
      <Field label={t("settings.appName")} value={name.value} onValue={(value) => (name.value = value)} />
      <TextArea
        label={t("settings.redirects")}
        hint={t("settings.redirectsHint")}
        value={uris.value}
        onValue={(value) => (uris.value = value)}
      />
      <Switch
        label={t("settings.confidential")}
        hint={t("settings.confidentialHint")}
        checked={confidential.value}
        onChange={(on) => (confidential.value = on)}
      />
    </Dialog>
  );
}
