import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { account, refreshSession } from "@/state/session";
import { explain } from "@/ui/errors";
import { Switch } from "@/ui/field";
import { toast } from "@/ui/toast";
import { Section } from "./section";

/** Who sees what one does. */
export default function PrivacySettings() {
  const me = account.value;
  if (!me) return null;
  const change = async (asked: Promise<unknown>) => {
    try {
      await asked;
      await refreshSession();
    } catch (error) {
      toast(explain(error), "warn");
    }
  };
  return (
    <Section title={t("settings.privacy")}>
      <Switch
        label={t("settings.listening")}
        hint={t("settings.listeningHint")}
        checked={me.listening_visible}
        onChange={(visible) => change(ok(api.PUT("/api/v1/me/listening-visibility", { body: { visible } })))}
      />
      <Switch
        label={t("settings.protected")}
        hint={t("settings.protectedHint")}
        checked={me.protected}
        onChange={(on) => change(ok(api.PUT("/api/v1/me/protected", { body: { on } })))}
      />
    </Section>
  );
}
