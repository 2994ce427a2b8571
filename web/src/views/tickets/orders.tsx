import { api, ok, type Schema } from "@/api/client";
import { language, t } from "@/i18n";
import { money } from "@/parts/money";
import { PageHead } from "@/parts/page-head";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { SignInNeeded } from "@/parts/sign-in-needed";
import { account } from "@/state/session";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { orderLabel } from "./order-state";
import styles from "./tickets.module.css";

/** All tickets that one has bought, or begun to. */
export default function Orders() {
  const me = account.value;
  if (me === undefined) return <Loading />;
  if (me === null) return <SignInNeeded title={t("home.buyNeedsAccount")} />;
  return <Own />;
}

function Own() {
  const orders = usePaged(
    (cursor) => ok(api.GET("/api/v1/me/orders", { params: { query: { cursor } } })),
    (one) => one.id,
    [],
  );
  return (
    <div class={styles.page}>
      <PageHead title={t("home.orders")} />
      <PagedList
        of={orders}
        id={(one) => one.id}
        label={t("home.orders")}
        render={(one) => <Line order={one} />}
        empty={<Empty title={t("home.noOrders")} />}
      />
    </div>
  );
}

function Line({ order }: { order: Schema<"OrderView"> }) {
  const space = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}", { params: { path: { space: order.space } } })),
    [order.space],
  );
  return (
    <a class={styles.line} href={`/orders/${order.id}`}>
      <span class="grow">
        <span class={styles.lineTitle}>{space.value.value?.title || t("home.aSpace")}</span>
        <span class="soft">{t(orderLabel(order.state, order.expires, Date.now()))}</span>
      </span>
      <strong>{order.currency && money(order.price_minor, order.currency, language.value)}</strong>
    </a>
  );
}
