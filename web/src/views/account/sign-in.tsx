import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { account, signIn } from "@/state/session";
import { Field, kept } from "@/ui/field";
import { LinkButton } from "@/ui/link-button";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./account.module.css";
import { AccountCard, AccountForm, nextPath } from "./form";

/** `/sign-in?next=<path>`: by password, or by a provider that the deployment knows. */
export default function SignIn() {
  const { query, route } = useLocation();
  const name = useSignal("");
  const password = useSignal("");
  const next = nextPath(query);
  if (account.value) route(next, true);
  return (
    <AccountCard title={t("account.signInTitle")}>
      <Providers next={next} />
      <AccountForm
        label={t("account.signInTitle")}
        send={t("common.signIn")}
        onSend={async () => {
          await signIn(name.value, password.value);
          route(next, true);
        }}
      >
        <Field label={t("account.nameOrEmail")} {...kept(name)} name="username" autoComplete="username" required />
        <Field
          label={t("account.password")}
          type="password"
          {...kept(password)}
          name="password"
          autoComplete="current-password"
          required
        />
      </AccountForm>
      <p class={styles.links}>
        <a href="/forgot">{t("account.forgot")}</a>
        <a href={`/register?next=${encodeURIComponent(next)}`}>{t("account.register")}</a>
      </p>
    </AccountCard>
  );
}

/** Sign-in by others (OpenID Connect), where there is any. */
export function Providers({ next }: { next: string }) {
  const { value } = useLoaded(() => ok(api.GET("/api/v1/auth/oidc")), []);
  const providers = value.value?.data ?? [];
  if (providers.length === 0) return null;
  return (
    <>
      {providers.map((one) => (
        <LinkButton
          key={one.name}
          href={`/api/v1/auth/oidc/${encodeURIComponent(one.name)}/start?return_to=${encodeURIComponent(next)}`}
        >
          {t("account.with", { provider: one.label || one.name })}
        </LinkButton>
      ))}
      <p class={styles.or}>{t("account.or")}</p>
    </>
  );
}
