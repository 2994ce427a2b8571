import { useSignal } from "@preact/signals";
import { Link2, Mail, Mic } from "lucide";
import { api, ok, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { share } from "@/parts/share";
import { learn, profile } from "@/state/profiles";
import { seatOf } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field } from "@/ui/field";
import { toast } from "@/ui/toast";
import { useListeners } from "../listeners";
import { useRoom } from "../room-context";
import styles from "./host.module.css";

type Profile = Schema<"ProfileView">;

/** Invites people who are here, or anybody by their handle, to speak or to listen. */
export default function InviteDialog() {
  const { session, open } = useRoom();
  const search = useSignal("");
  const outside = useSignal<Profile | null>(null);
  const trouble = useSignal<string | null>(null);
  const found = useListeners(session.space, search.value.trim().replace(/^@/, ""));
  const state = session.state.value;
  if (!state) return null;
  const here = found.people.value.map((person) => person.profile).filter((who) => !seatOf(state, who.id));
  const lookUp = async () => {
    trouble.value = null;
    outside.value = null;
    const handle = search.value.trim().replace(/^@/, "");
    if (!handle) return;
    try {
      const who = await ok(api.GET("/api/v1/accounts/by-handle/{handle}", { params: { path: { handle } } }));
      learn(who);
      outside.value = who;
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  const people = outside.value && !here.some((who) => who.id === outside.value?.id) ? [outside.value, ...here] : here;
  return (
    <Dialog
      title={t("room.invitePeople")}
      sheet
      open
      onClose={() => {
        open.value = null;
      }}
    >
      <form
        class={styles.lookUp}
        onSubmit={(event) => {
          event.preventDefault();
          void lookUp();
        }}
      >
        <Field
          label={t("room.inviteSearch")}
          hint={t("room.inviteHint")}
          type="search"
          value={search.value}
          error={trouble.value}
          onValue={(value) => {
            search.value = value;
            trouble.value = null;
          }}
        />
        <Button type="submit">{t("room.findByHandle")}</Button>
      </form>
      <ul>
        {people.map((who) => (
          <Candidate key={who.id} who={who} />
        ))}
      </ul>
      {people.length === 0 && !found.loading.value && <p class="soft">{t("room.nobodyToInvite")}</p>}
      <Button icon={Link2} onClick={() => share(`/s/${state.id}`, state.title)}>
        {t("room.shareLink")}
      </Button>
    </Dialog>
  );
}

function Candidate({ who }: { who: Profile }) {
  const { session } = useRoom();
  const state = session.state.value;
  const told = profile(who.id).value ?? who;
  if (!state) return null;
  const offered = state.offers.some((offer) => offer.account === who.id);
  return (
    <li class={styles.candidate}>
      <Avatar of={told} size={40} />
      <span class="grow">
        <strong class="ellipsis">{told.name}</strong> <span class="soft">@{told.handle}</span>
      </span>
      <Button
        kind="quiet"
        icon={Mail}
        label={t("room.inviteToListen", { name: told.name })}
        onClick={async () => {
          await ok(
            api.POST("/api/v1/accounts/{account}/messages", {
              params: { path: { account: who.id } },
              body: { space: state.id, text: "" },
            }),
          );
          toast(t("room.messageSent", { name: told.name }));
        }}
      />
      {offered ? (
        <Button
          small
          onClick={() =>
            ok(
              api.DELETE("/api/v1/spaces/{space}/invites/{account}", {
                params: { path: { space: state.id, account: who.id } },
              }),
            )
          }
        >
          {t("room.takeInviteBack")}
        </Button>
      ) : (
        <Button
          small
          kind="primary"
          icon={Mic}
          onClick={() =>
            ok(
              api.PUT("/api/v1/spaces/{space}/invites/{account}", {
                params: { path: { space: state.id, account: who.id } },
              }),
            )
          }
        >
          {t("room.inviteShort")}
        </Button>
      )}
    </li>
  );
}
