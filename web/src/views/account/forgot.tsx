import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Field, kept } from "@/ui/field";
import { AccountCard, AccountForm } from "./form";

/** `/forgot`: asks for a link to choose a new password. The answer tells nobody who has an account. */
export default function Forgot() {
  const email = useSignal("");
  const sent = useSignal(false);
  return (
    <AccountCard title={t("account.forgotTitle")} lead={sent.value ? undefined : t("account.forgotLead")}>
      {sent.value ? (
        <p role="status">{t("account.forgotSent", { email: email.value })}</p>
      ) : (
        <AccountForm
          label={t("account.forgotTitle")}
          send={t("account.forgotSend")}
          onSend={async () => {
            await ok(api.POST("/api/v1/auth/password-reset", { body: { email: email.value } }));
            sent.value = true;
          }}
        >
          <Field label={t("account.email")} type="email" autoComplete="email" {...kept(email)} required />
        </AccountForm>
      )}
    </AccountCard>
  );
}
