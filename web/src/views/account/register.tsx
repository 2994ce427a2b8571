import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, forgetCsrf, ok } from "@/api/client";
import { t } from "@/i18n";
import { refreshSession } from "@/state/session";
import { Field, kept } from "@/ui/field";
import styles from "./account.module.css";
import { AccountCard, AccountForm, nextPath } from "./form";
import { Providers } from "./sign-in";

/** `/register`: a new account, signed in at once. */
export default function Register() {
  const { query, route } = useLocation();
  const told = { handle: useSignal(""), name: useSignal(""), email: useSignal(""), password: useSignal("") };
  const next = nextPath(query);
  return (
    <AccountCard title={t("account.registerTitle")} lead={t("account.registerLead")}>
      <Providers next={next} />
      <AccountForm
        label={t("account.registerTitle")}
        send={t("account.registerSend")}
        onSend={async () => {
          await ok(
            api.POST("/api/v1/auth/register", {
              body: {
                handle: told.handle.value.replace(/^@/, ""),
                name: told.name.value || told.handle.value,
                email: told.email.value || null,
                password: told.password.value,
                session: "cookie",
              },
            }),
          );
          forgetCsrf();
          await refreshSession();
          route(next, true);
        }}
      >
        <Field
          {...kept(told.handle)}
          label={t("account.handle")}
          hint={t("account.handleHint")}
          autoComplete="username"
          required
        />
        <Field {...kept(told.name)} label={t("account.displayName")} autoComplete="name" maxLength={100} />
        <Field
          {...kept(told.email)}
          label={t("account.email")}
          hint={t("account.emailHint")}
          type="email"
          autoComplete="email"
        />
        <Field
          {...kept(told.password)}
          label={t("account.password")}
          hint={t("account.passwordHint")}
          type="password"
          autoComplete="new-password"
          required
        />
      </AccountForm>
      <p class={styles.links}>
        <a href={`/sign-in?next=${encodeURIComponent(next)}`}>{t("account.haveOne")}</a>
      </p>
    </AccountCard>
  );
}
