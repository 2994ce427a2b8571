import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { learn } from "@/state/profiles";
import { account, refreshSession } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Field, TextArea } from "@/ui/field";
import { LinkButton } from "@/ui/link-button";
import { toast } from "@/ui/toast";
import { Section } from "./section";
import styles from "./settings.module.css";

const FIELDS = ["name", "handle", "description", "picture"] as const;

/** What others see of oneself. */
export default function ProfileSettings() {
  const me = account.value;
  const draft = useSignal<Partial<Record<(typeof FIELDS)[number], string>>>({});
  if (!me) return null;
  const now = { ...me, ...draft.value };
  const put = (field: (typeof FIELDS)[number]) => ({
    value: now[field],
    onValue: (value: string) => {
      draft.value = { ...draft.value, [field]: value };
    },
  });
  const save = async () => {
    const wanted = FIELDS.map((field) => [field, draft.value[field]?.trim()] as const);
    const changed = Object.fromEntries(wanted.filter(([field, value]) => value !== undefined && value !== me[field]));
    await ok(
      api.PATCH("/api/v1/me", { body: { handle: null, name: null, description: null, picture: null, ...changed } }),
    );
    await refreshSession();
    if (account.value) learn(account.value);
    draft.value = {};
    toast(t("settings.saved"));
  };
  return (
    <Section title={t("settings.profile")}>
      <div class={styles.avatarRow}>
        <Avatar key={now.picture} of={{ ...me, picture: now.picture }} size={72} />
        <div>
          <p>
            <strong>{now.name}</strong>
          </p>
          <p class="soft">@{now.handle}</p>
        </div>
      </div>
      <Field {...put("name")} label={t("account.displayName")} maxLength={100} />
      <Field {...put("handle")} label={t("account.handle")} hint={t("account.handleHint")} />
      <TextArea {...put("description")} label={t("settings.description")} rows={3} />
      <Field {...put("picture")} label={t("settings.picture")} hint={t("settings.pictureHint")} type="url" />
      <div class="row">
        <Button kind="primary" disabled={Object.keys(draft.value).length === 0} onClick={save}>
          {t("common.save")}
        </Button>
        <LinkButton kind="quiet" href={`/@${me.handle}`}>
          {t("settings.seeProfile")}
        </LinkButton>
      </div>
    </Section>
  );
}
