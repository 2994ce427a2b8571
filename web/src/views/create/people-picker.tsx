import { type Signal, useSignal } from "@preact/signals";
import { UserPlus, X } from "lucide";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { findAccount } from "@/parts/find-account";
import { PersonRow } from "@/parts/people";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { Field, kept, Select } from "@/ui/field";
import styles from "./create.module.css";

export type InviteAs = "speaker" | "cohost" | "listener";
export interface Invited {
  account: string;
  as: InviteAs;
}

/** Invites somebody: to the stage, beside the host, or by a message to listen. Throws ApiError. */
export async function invite(space: string, { account, as }: Invited): Promise<void> {
  const params = { params: { path: { space, account } } };
  if (as === "speaker") await ok(api.PUT("/api/v1/spaces/{space}/invites/{account}", params));
  else if (as === "cohost") await ok(api.PUT("/api/v1/spaces/{space}/cohosts/{account}", params));
  else
    await ok(
      api.POST("/api/v1/accounts/{account}/messages", { params: { path: { account } }, body: { space, text: "" } }),
    );
}

/** A line to name somebody by handle and what they are invited as; `onAdd` throws what is shown beside it. */
export function InviteLine({ live, onAdd }: { live?: boolean; onAdd: (invited: Invited) => unknown }) {
  // Only who is in a live Space can be made a co-host.
  const kinds: InviteAs[] = live ? ["speaker", "cohost", "listener"] : ["speaker", "listener"];
  const text = useSignal("");
  const as = useSignal<InviteAs>("speaker");
  const trouble = useSignal<string | null>(null);
  const add = async () => {
    try {
      const { id } = await findAccount(text.value);
      await onAdd({ account: id, as: as.value });
      text.value = "";
      trouble.value = null;
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <form
      class={styles.invite}
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Field
        label={t("home.inviteWhom")}
        placeholder="@handle"
        error={trouble.value}
        autoComplete="off"
        {...kept(text)}
      />
      <Select
        label={t("home.inviteAs")}
        value={as.value}
        options={kinds.map((one) => [one, t(`home.invite_${one}`)] as const)}
        onChange={(value) => {
          as.value = value;
        }}
      />
      <Button icon={UserPlus} type="submit">
        {t("home.invite")}
      </Button>
    </form>
  );
}

/** People who are to be invited when the Space is made. */
export function PeoplePicker({ people }: { people: Signal<Invited[]> }) {
  const drop = (account: string) => {
    people.value = people.value.filter((one) => one.account !== account);
  };
  return (
    <section class="card stack" aria-labelledby="invites">
      <h2 id="invites">{t("home.invites")}</h2>
      <InviteLine
        onAdd={(invited) => {
          people.value = [...people.value.filter((one) => one.account !== invited.account), invited];
        }}
      />
      <ul aria-label={t("home.invites")}>
        {people.value.map(({ account, as }) => (
          <li key={account}>
            <PersonRow id={account} badge={t(`home.invite_${as}`)}>
              <Button kind="quiet" icon={X} label={t("home.inviteDrop")} onClick={() => drop(account)} />
            </PersonRow>
          </li>
        ))}
      </ul>
    </section>
  );
}
