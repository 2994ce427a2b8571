import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, forgetCsrf, ok, type Schema } from "@/api/client";
import { relative, t } from "@/i18n";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Field, kept } from "@/ui/field";
import { Failed, Loading } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useLoaded } from "@/ui/use-loaded";
import { Section } from "./section";
import styles from "./settings.module.css";

/** How one signs in: address, password, other providers, and where one is signed in. */
export default function LoginSettings() {
  return (
    <>
      <Email />
      <Password />
      <Providers />
      <Sessions />
    </>
  );
}

function Email() {
  const me = account.value;
  const email = useSignal(me?.email ?? "");
  const send = async () => {
    await ok(api.POST("/api/v1/auth/email", { body: { email: email.value } }));
    toast(t("settings.emailSent", { email: email.value }));
  };
  return (
    <Section title={t("account.email")} lead={me?.email_verified ? t("settings.verified") : t("settings.unverified")}>
      <Field label={t("account.email")} type="email" autoComplete="email" {...kept(email)} />
      <div class="row">
        <Button disabled={!email.value || (me?.email_verified && email.value === me.email)} onClick={send}>
          {t("settings.sendVerification")}
        </Button>
      </div>
    </Section>
  );
}

function Password() {
  const old = useSignal("");
  const fresh = useSignal("");
  const change = async () => {
    await ok(api.PUT("/api/v1/auth/password", { body: { old: old.value, new: fresh.value } }));
    old.value = "";
    fresh.value = "";
    toast(t("settings.passwordChanged"));
  };
  return (
    <Section title={t("account.password")} lead={t("settings.passwordLead")}>
      <Field label={t("settings.oldPassword")} type="password" autoComplete="current-password" {...kept(old)} />
      <Field
        label={t("account.newPassword")}
        hint={t("account.passwordHint")}
        type="password"
        autoComplete="new-password"
        {...kept(fresh)}
      />
      <div class="row">
        <Button disabled={!fresh.value} onClick={change}>
          {t("settings.changePassword")}
        </Button>
      </div>
    </Section>
  );
}

function Providers() {
  const { value } = useLoaded(() => ok(api.GET("/api/v1/auth/oidc")), []);
  const providers = value.value?.data ?? [];
  if (providers.length === 0) return null;
  const link = async (provider: string) => {
    const { url } = await ok(api.POST("/api/v1/auth/oidc/{provider}/link", { params: { path: { provider } } }));
    location.assign(url);
  };
  return (
    <Section title={t("settings.providers")} lead={t("settings.providersLead")}>
      <div class={styles.choices}>
        {providers.map((one) => (
          <Button key={one.name} onClick={() => link(one.name)}>
            {one.label || one.name}
          </Button>
        ))}
      </div>
    </Section>
  );
}

function Sessions() {
  const { route } = useLocation();
  const { value, error, again } = useLoaded(() => ok(api.GET("/api/v1/auth/sessions")), []);
  if (error.value !== null) return <Failed error={error.value} onRetry={again} />;
  if (!value.value) return <Loading />;
  const end = async (session: string) => {
    await ok(api.DELETE("/api/v1/auth/sessions/{session}", { params: { path: { session } } }));
    await again();
  };
  const endAll = async () => {
    await ok(api.DELETE("/api/v1/auth/sessions"));
    forgetCsrf();
    account.value = null;
    route("/sign-in");
  };
  return (
    <Section title={t("settings.sessions")} lead={t("settings.sessionsLead")}>
      <ul class={styles.lines}>
        {value.value.data.map((one) => (
          <li key={one.id}>
            <div class="grow">
              <p>{one.device || t(`settings.kind_${one.kind}`)}</p>
              <p class={styles.small}>{seen(one)}</p>
            </div>
            {!one.current && (
              <Button small onClick={() => end(one.id)}>
                {t("settings.endSession")}
              </Button>
            )}
          </li>
        ))}
      </ul>
      <div class="row">
        <Button kind="danger" onClick={endAll}>
          {t("settings.endSessions")}
        </Button>
      </div>
    </Section>
  );
}

const seen = (one: Schema<"SessionAnswer">) =>
  one.current ? t("settings.thisOne") : t("settings.seen", { when: relative(one.seen_at) });
