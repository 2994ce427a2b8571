import { useSignal } from "@preact/signals";
import { CircleCheck, CircleX, Clock, RotateCcw } from "lucide";
import { useEffect } from "preact/hooks";
import { api, ok } from "@/api/client";
import { clock, language, t } from "@/i18n";
import { money } from "@/parts/money";
import { PageHead } from "@/parts/page-head";
import { Refused } from "@/parts/refused";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { isOpen, orderLabel } from "./order-state";
import styles from "./tickets.module.css";

const EVERY_MS = 2_000;

/** An own order, followed until it is settled. The payment provider leads back here. */
export default function Order({ order }: { order: string }) {
  const found = useLoaded(() => ok(api.GET("/api/v1/me/orders/{id}", { params: { path: { id: order } } })), [order]);
  const now = useSignal(Date.now());
  const one = found.value.value;
  const open = one !== undefined && isOpen(one.state, one.expires, now.value);
  useEffect(() => {
    if (!open) return;
    const asking = setInterval(found.again, EVERY_MS);
    const ticking = setInterval(() => {
      now.value = Date.now();
    }, 1_000);
    return () => {
      clearInterval(asking);
      clearInterval(ticking);
    };
  }, [open]);
  if (found.error.value) return <Refused page error={found.error.value} onRetry={found.again} />;
  if (!one) return <Loading />;
  const label = orderLabel(one.state, one.expires, now.value);
  const icon = { held: Clock, accepted: Clock, paid: CircleCheck, released: CircleX }[one.state as string] ?? RotateCcw;
  const left = (new Date(one.expires).getTime() - now.value) / 1_000;
  const payable = one.state === "held" && left > 0;
  return (
    <div class={styles.page}>
      <PageHead title={t("home.order")} />
      <section class={`${styles.ticket} ${one.state === "paid" ? styles.good : ""}`} aria-label={t("home.order")}>
        <Icon of={label === "home.order_expired" ? CircleX : icon} size={40} />
        <p class={styles.price}>{money(one.price_minor, one.currency || "EUR", language.value)}</p>
        <p class={styles.state} role="status">
          {t(label)}
        </p>
        {payable && <p class="soft">{t("home.payWithin", { time: clock(left) })}</p>}
      </section>
      <div class={styles.buy}>
        {payable && (
          <LinkButton kind="primary" href={one.url}>
            {t("home.payNow")}
          </LinkButton>
        )}
        {label === "home.order_expired" || one.state === "released" ? (
          <LinkButton kind="primary" href={`/s/${one.space}/tickets`}>
            {t("home.buyAgain")}
          </LinkButton>
        ) : (
          <LinkButton kind={one.state === "paid" ? "primary" : "plain"} href={`/s/${one.space}`}>
            {t("home.openSpace")}
          </LinkButton>
        )}
        <a href="/orders">{t("home.allOrders")}</a>
      </div>
    </div>
  );
}
