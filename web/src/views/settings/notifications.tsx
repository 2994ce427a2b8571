import { useSignal } from "@preact/signals";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { pushState, subscribePush, unsubscribePush } from "@/pwa/push";
import { account } from "@/state/session";
import { explain } from "@/ui/errors";
import { Switch } from "@/ui/field";
import { Failed, Loading } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import { kindLine } from "../notifications/kinds";
import { Section } from "./section";

/** By which ways one is told of what. */
export default function NotificationSettings() {
  const loaded = useLoaded(
    async () => ({
      settings: await ok(api.GET("/api/v1/me/notifications/settings")),
      kinds: Object.keys((await ok(api.GET("/api/v1/notification-kinds"))).data),
    }),
    [],
  );
  const push = useLoaded(pushState, []);
  const busy = useSignal(false);
  if (loaded.error.value !== null) return <Failed error={loaded.error.value} onRetry={loaded.again} />;
  if (!loaded.value.value) return <Loading />;
  const { settings, kinds } = loaded.value.value;
  const change = (part: Partial<Schema<"SettingsView">>) =>
    attempt(async () => {
      await ok(api.PUT("/api/v1/me/notifications/settings", { body: { ...settings, ...part } }));
      await loaded.again();
    });
  const attempt = async (act: () => Promise<unknown>) => {
    busy.value = true;
    try {
      await act();
    } catch (error) {
      toast(explain(error), "warn");
    } finally {
      busy.value = false;
    }
  };
  const state = push.value.value;
  return (
    <>
      <Section title={t("settings.ways")}>
        {state && state !== "unavailable" && (
          <Switch
            label={t("settings.pushHere")}
            hint={t(state === "denied" ? "settings.pushDenied" : "settings.pushHint")}
            checked={state === "on"}
            disabled={busy.value || state === "denied"}
            onChange={(on) =>
              attempt(async () => {
                if (on && !(await subscribePush(account.value?.id ?? ""))) toast(t("settings.pushDenied"), "warn");
                if (!on) await unsubscribePush();
                await push.again();
              })
            }
          />
        )}
        <Switch
          label={t("settings.pushAll")}
          checked={settings.push}
          disabled={busy.value}
          onChange={(on) => change({ push: on })}
        />
        <Switch
          label={t("settings.byEmail")}
          hint={account.value?.email_verified ? undefined : t("settings.byEmailHint")}
          checked={settings.email}
          disabled={busy.value}
          onChange={(email) => change({ email })}
        />
      </Section>
      <Section title={t("settings.kinds")} lead={t("settings.kindsLead")}>
        {kinds.map((kind) => (
          <Switch
            key={kind}
            label={kindLine(kind)}
            checked={!settings.off.includes(kind)}
            disabled={busy.value}
            onChange={(on) =>
              change({ off: on ? settings.off.filter((one) => one !== kind) : [...settings.off, kind] })
            }
          />
        ))}
      </Section>
    </>
  );
}
