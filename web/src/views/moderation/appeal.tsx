import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { PageHead } from "@/parts/page-head";
import { SignInNeeded } from "@/parts/sign-in-needed";
import { limits, loadLimits } from "@/state/limits";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { TextArea } from "@/ui/field";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import styles from "./moderation.module.css";

const LONGEST = 4000;

/** `/appeal`: against a ban; with `?space=`, against a violation that was found in an own Space. */
export default function Appeal() {
  const { query } = useLocation();
  const space = query.space ?? null;
  const text = useSignal("");
  const trouble = useSignal<string | null>(null);
  const sent = useSignal(false);
  useEffect(() => {
    loadLimits().catch(() => {}); // then the page does not say until when
  }, []);
  const me = account.value;
  if (me === undefined) return <Loading />;
  if (me === null) return <SignInNeeded title={t("admin.appealNeedsAccount")} />;
  if (sent.value) {
    return (
      <Empty title={t("admin.appealSent")}>
        <LinkButton href="/">{t("home.toHome")}</LinkButton>
      </Empty>
    );
  }
  const send = async () => {
    try {
      await ok(api.POST("/api/v1/appeals", { body: { text: text.value.trim(), space } }));
      sent.value = true;
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  const days = limits.value?.appeal_days;
  return (
    <div class={styles.appeal}>
      <PageHead title={t("admin.appeal")} lead={t(space ? "admin.appealViolationLead" : "admin.appealBanLead")} />
      <section class="card stack">
        <TextArea
          label={t("admin.appealText")}
          hint={t("home.length", { count: [...text.value].length, most: LONGEST })}
          error={trouble.value}
          rows={8}
          maxLength={LONGEST}
          value={text.value}
          onValue={(value) => {
            text.value = value;
          }}
        />
        {days && <p class="soft">{t("admin.appealWithin", { count: days })}</p>}
        <div>
          <Button kind="primary" disabled={!text.value.trim()} onClick={send}>
            {t("admin.sendAppeal")}
          </Button>
        </div>
      </section>
    </div>
  );
}
