import { api, ok, type Schema } from "@/api/client";
import { language, t } from "@/i18n";
import { money } from "@/parts/money";
import { usePaged } from "@/parts/paged";
import { PagedList } from "@/parts/paged-list";
import { PersonRow } from "@/parts/people";
import { Empty } from "@/ui/states";
import styles from "./tickets.module.css";

/** For the creator: who holds a ticket, and what that comes to. */
export function Buyers({ space, price }: { space: string; price: Schema<"TicketingView"> }) {
  const buyers = usePaged(
    (cursor) =>
      ok(api.GET("/api/v1/spaces/{space}/tickets/buyers", { params: { path: { space }, query: { cursor } } })),
    (account) => account,
    [space],
  );
  return (
    <section class="card stack" aria-labelledby="buyers">
      <div class="spread">
        <h2 id="buyers">{t("home.buyers")}</h2>
        <p class={styles.income}>
          {t("home.income", { amount: money(price.price_minor * price.sold, price.currency, language.value) })}
        </p>
      </div>
      <PagedList
        of={buyers}
        id={(account) => account}
        look="rows"
        label={t("home.buyers")}
        render={(account) => <PersonRow id={account} />}
        empty={<Empty title={t("home.noBuyers")} />}
      />
    </section>
  );
}
