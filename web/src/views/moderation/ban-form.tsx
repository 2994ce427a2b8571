import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { nameOf } from "@/parts/people";
import { profile } from "@/state/profiles";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field, Select } from "@/ui/field";
import { toast } from "@/ui/toast";

const DAYS = ["1", "7", "30", "0"] as const;
const DAY_MS = 86_400_000;

/** When a ban of so many days ends; 0: never. */
export const banEnd = (days: number, now: number) => (days > 0 ? new Date(now + days * DAY_MS).toISOString() : null);

/** Bans somebody from live features for a time or for good, or lifts that. */
export function BanForm({ account }: { account: string }) {
  const reason = useSignal("");
  const days = useSignal<(typeof DAYS)[number]>("7");
  const trouble = useSignal<string | null>(null);
  const path = { params: { path: { account } } };
  const name = nameOf(profile(account).value);
  const ban = async () => {
    try {
      const body = { reason: reason.value, until: banEnd(Number(days.value), Date.now()) };
      await ok(api.PUT("/api/v1/moderation/bans/{account}", { ...path, body }));
    } catch (error) {
      trouble.value = explain(error);
      return;
    }
    trouble.value = null;
    toast(t("admin.banned", { name }));
  };
  const lift = async () => {
    await ok(api.DELETE("/api/v1/moderation/bans/{account}", path));
    toast(t("admin.lifted", { name }));
  };
  return (
    <section class="card stack" aria-label={t("admin.banSomebody", { name })}>
      <h2>{t("admin.banSomebody", { name })}</h2>
      <Field
        label={t("admin.banReason")}
        hint={t("admin.banReasonHint")}
        error={trouble.value}
        maxLength={100}
        value={reason.value}
        onValue={(value) => {
          reason.value = value;
        }}
      />
      <Select
        label={t("admin.banFor")}
        value={days.value}
        options={DAYS.map((one) => [one, one === "0" ? t("admin.forGood") : t("admin.days", { count: Number(one) })])}
        onChange={(value) => {
          days.value = value;
        }}
      />
      <div class="row">
        <Button kind="danger" disabled={!reason.value.trim()} onClick={ban}>
          {t("admin.ban")}
        </Button>
        <Button onClick={lift}>{t("admin.lift")}</Button>
      </div>
    </section>
  );
}
