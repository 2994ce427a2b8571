import { useSignal } from "@preact/signals";
import { t } from "@/i18n";
import { findAccount } from "@/parts/find-account";
import { PersonRow } from "@/parts/people";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field, kept } from "@/ui/field";
import { BanForm } from "./ban-form";
import styles from "./moderation.module.css";
import { TrailOf } from "./trail";

/** Finds an account by its handle: what was done about it, a ban, or its end. */
export function Bans() {
  const text = useSignal("");
  const found = useSignal<string | null>(null);
  const trouble = useSignal<string | null>(null);
  const find = async () => {
    found.value = null;
    try {
      const { id } = await findAccount(text.value);
      found.value = id;
      trouble.value = null;
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <div class="stack">
      <form
        class={styles.find}
        onSubmit={(event) => {
          event.preventDefault();
          void find();
        }}
      >
        <Field
          label={t("admin.findAccount")}
          hint={t("admin.findAccountHint")}
          placeholder="@handle"
          error={trouble.value}
          autoComplete="off"
          {...kept(text)}
        />
        <Button type="submit">{t("common.search")}</Button>
      </form>
      {found.value && (
        <div class={styles.columns} key={found.value}>
          <section class="card" aria-label={t("admin.part_trail")}>
            <PersonRow id={found.value} />
            <TrailOf account={found.value} />
          </section>
          <BanForm account={found.value} />
        </div>
      )}
    </div>
  );
}
