import { language, t } from "@/i18n";
import { minorUnits, money } from "@/parts/money";
import { Field, Select, Switch } from "@/ui/field";
import styles from "./create.module.css";
import type { Draft, Troubles } from "./draft";

const CURRENCIES = ["EUR", "USD", "GBP", "CHF", "JPY", "INR", "BRL", "CAD", "AUD", "SEK", "PLN"] as const;

interface Props {
  draft: Draft;
  wrong: Troubles;
  onChange: (change: Partial<Draft>) => void;
}

/** Whether one pays to listen, how much, and how many can. */
export function TicketFields({ draft, wrong, onChange }: Props) {
  const price = minorUnits(draft.price, draft.currency);
  return (
    <section class="card stack">
      <Switch
        label={t("home.tickets")}
        hint={t("home.ticketsHint")}
        checked={draft.ticketed}
        onChange={(ticketed) => onChange({ ticketed })}
      />
      {draft.ticketed && (
        <div class={styles.tickets}>
          <Field
            label={t("home.price")}
            hint={price ? money(price, draft.currency, language.value) : undefined}
            error={wrong.price}
            value={draft.price}
            onValue={(value) => onChange({ price: value })}
          />
          <Select
            label={t("home.currency")}
            value={draft.currency}
            options={CURRENCIES.map((one) => [one, one] as const)}
            onChange={(currency: string) => onChange({ currency })}
          />
          <Field
            label={t("home.quantity")}
            error={wrong.quantity}
            value={draft.quantity}
            onValue={(quantity) => onChange({ quantity })}
          />
        </div>
      )}
    </section>
  );
}
