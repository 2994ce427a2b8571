import { Ticket } from "lucide";
import { useLocation } from "preact-iso";
import { api, ok, type Schema } from "@/api/client";
import { language, t } from "@/i18n";
import { money } from "@/parts/money";
import { PageHead } from "@/parts/page-head";
import { nameOf } from "@/parts/people";
import { Refused } from "@/parts/refused";
import { SignInNeeded } from "@/parts/sign-in-needed";
import { titleOf } from "@/parts/space-card";
import { profile } from "@/state/profiles";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { LinkButton } from "@/ui/link-button";
import { Empty, Loading } from "@/ui/states";
import { useLoaded } from "@/ui/use-loaded";
import { Buyers } from "./buyers";
import styles from "./tickets.module.css";

/** `/s/:space/tickets`: buys one; the creator sees who has. */
export default function Tickets({ space }: { space: string }) {
  const me = account.value;
  const found = useLoaded(
    () => ok(api.GET("/api/v1/spaces/{space}", { params: { path: { space } } })),
    [space, me?.id],
  );
  if (found.error.value) return <Refused page error={found.error.value} onRetry={found.again} />;
  const view = found.value.value;
  if (!view || me === undefined) return <Loading />;
  const sold = view.ticketing;
  if (!sold) {
    return (
      <Empty title={t("home.noTicketNeeded")}>
        <LinkButton href={`/s/${space}`}>{t("home.openSpace")}</LinkButton>
      </Empty>
    );
  }
  const title = titleOf(view.title, nameOf(profile(view.admin ?? view.creator).value));
  const mine = me?.id === view.creator;
  return (
    <div class={styles.page}>
      <PageHead title={t("home.ticketsTitle")} lead={title} />
      <Offer space={view} sold={sold} />
      {mine && <Buyers space={space} price={sold} />}
      {!mine &&
        (me ? (
          <Buy space={space} left={sold.quantity - sold.sold} />
        ) : (
          <SignInNeeded title={t("home.buyNeedsAccount")} />
        ))}
    </div>
  );
}

function Offer({ space, sold }: { space: Schema<"SpaceView">; sold: Schema<"TicketingView"> }) {
  return (
    <section class={styles.ticket} aria-label={t("home.ticketsTitle")}>
      <Icon of={Ticket} size={32} />
      <p class={styles.price}>{money(sold.price_minor, sold.currency, language.value)}</p>
      <p>{t("home.ticketsLeft", { count: Math.max(0, sold.quantity - sold.sold), all: sold.quantity })}</p>
      <a href={`/s/${space.id}`}>{t("home.openSpace")}</a>
    </section>
  );
}

function Buy({ space, left }: { space: string; left: number }) {
  const { route } = useLocation();
  const buy = async () => {
    const order = await ok(api.POST("/api/v1/spaces/{space}/tickets/checkout", { params: { path: { space } } }));
    route(`/orders/${order.id}`);
  };
  if (left <= 0) return <Empty title={t("home.soldOut")} />;
  return (
    <div class={styles.buy}>
      <Button kind="primary" icon={Ticket} onClick={buy}>
        {t("home.buyTicket")}
      </Button>
      <p class="soft">{t("home.buyHint")}</p>
    </div>
  );
}
