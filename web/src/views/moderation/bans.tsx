import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { PersonRow } from "@/parts/people";
import { learn } from "@/state/profiles";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field } from "@/ui/field";
import { handleIn } from "../search/query";
import { BanForm } from "./ban-form";
import styles from "./moderation.module.css";
import { TrailOf } from "./trail";

/** Finds an account by its handle: what was done about it, a ban, or its end. */
export function Bans() {
  const text = useSignal("");
  const found = useSignal<string | null>(null);
  const trouble = useSignal<string | null>(null);
  const find = async () => {
    const handle = handleIn(text.value);
    found.value = null;
    if (!handle) {
      trouble.value = t("home.handleWrong");
      return;
    }
    try {
      const one = await ok(api.GET("/api/v1/accounts/by-handle/{handle}", { params: { path: { handle } } }));
      learn(one);
      found.value = one.id;
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
          placeholder="@handle"
          error={trouble.value}
          autoComplete="off"
          value={text.value}
          onValue={(value) => {
            text.value = value;
          }}
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
