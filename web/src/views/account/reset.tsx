import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, forgetCsrf, ok } from "@/api/client";
import { t } from "@/i18n";
import { account } from "@/state/session";
import { Field, kept } from "@/ui/field";
import { toast } from "@/ui/toast";
import { AccountCard, AccountForm } from "./form";

/** `/reset?token=`: from the e-mail of "forgot". All sessions end, so one signs in with the new password. */
export default function Reset() {
  const { query, route } = useLocation();
  const password = useSignal("");
  return (
    <AccountCard title={t("account.resetTitle")}>
      <AccountForm
        label={t("account.resetTitle")}
        send={t("account.resetSend")}
        onSend={async () => {
          const body = { token: query.token ?? "", password: password.value };
          await ok(api.PUT("/api/v1/auth/password-reset", { body }));
          forgetCsrf();
          account.value = null;
          toast(t("account.resetDone"));
          route("/sign-in", true);
        }}
      >
        <Field
          label={t("account.newPassword")}
          hint={t("account.passwordHint")}
          type="password"
          autoComplete="new-password"
          {...kept(password)}
          required
        />
      </AccountForm>
    </AccountCard>
  );
}
