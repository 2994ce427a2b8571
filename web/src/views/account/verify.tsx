import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { refreshSession } from "@/state/session";
import { LinkButton } from "@/ui/link-button";
import { AccountCard, AccountForm } from "./form";

/** `/verify?token=`: from the e-mail that a new address gets. A button, as programs that look at e-mails open links, too. */
export default function Verify() {
  const { query } = useLocation();
  const done = useSignal(false);
  const verify = async () => {
    await ok(api.POST("/api/v1/auth/email/verify", { body: { token: query.token ?? "" } }));
    await refreshSession().catch(() => {});
    done.value = true;
  };
  return (
    <AccountCard title={t("account.verifyTitle")}>
      {done.value ? (
        <>
          <p role="status">{t("account.verified")}</p>
          <LinkButton href="/">{t("common.home")}</LinkButton>
        </>
      ) : (
        <AccountForm label={t("account.verifyTitle")} send={t("account.verifySend")} onSend={verify}>
          <p>{t("account.verifyLead")}</p>
        </AccountForm>
      )}
    </AccountCard>
  );
}
