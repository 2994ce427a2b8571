import { useSignal } from "@preact/signals";
import { Ban, Flag, Lock, Pencil, Share2, VolumeX } from "lucide";
import type { Schema } from "@/api/client";
import { compact, t } from "@/i18n";
import { DateTime } from "@/parts/date-time";
import { FollowButton } from "@/parts/follow-button";
import { nameOf } from "@/parts/people";
import { ReportDialog, type Reported } from "@/parts/report-dialog";
import { share } from "@/parts/share";
import { relate, relation } from "@/state/relations";
import { account } from "@/state/session";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Icon } from "@/ui/icon";
import { Menu } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { currentSpace } from "./current-space";
import { EditProfile } from "./edit-profile";
import styles from "./profile.module.css";

/** Picture, name, numbers, and what one can do about somebody. */
export function ProfileHead({ of, onChanged }: { of: Schema<"ProfileAnswer">; onChanged: () => Promise<void> }) {
  const me = account.value;
  const mine = me?.id === of.id;
  const how = relation(of.id).value;
  const editing = useSignal(false);
  const reported = useSignal<Reported | null>(null);
  const name = nameOf(of);
  const act = async (what: "blocking" | "muting", on: boolean) => {
    await relate(of.id, what, on);
    toast(t(`home.${what}_${on ? "on" : "off"}`, { name }));
  };
  const report = async () => {
    // A report is about what somebody does in a Space: moderators listen to what was said there.
    const space = await currentSpace(of.id);
    if (space) reported.value = { kind: "account", space, account: of.id, name };
    else toast(t("home.reportWhere"), "warn");
  };
  return (
    <header class={styles.head}>
      <Avatar of={of} size={96} />
      <div class={styles.text}>
        <h1>
          {name}
          {of.protected && <Icon of={Lock} label={t("home.protected")} size={18} />}
        </h1>
        <p class="soft">
          @{of.handle}
          {how?.follows_you && <span class={styles.tag}>{t("home.followsYou")}</span>}
        </p>
        {of.description && <p class={styles.description}>{of.description}</p>}
        <p class={styles.numbers}>
          {how && (
            <span>
              <strong>{compact(how.followers)}</strong> {t("home.followers", { count: how.followers })}
            </span>
          )}
          <span class="soft">
            {t("home.since")} <DateTime at={of.created_at} from="now" />
          </span>
        </p>
        {how?.blocking && <p class={styles.blocked}>{t("home.youBlock", { name })}</p>}
      </div>
      <div class={styles.actions}>
        {mine && (
          <Button
            icon={Pencil}
            onClick={() => {
              editing.value = true;
            }}
          >
            {t("home.editProfile")}
          </Button>
        )}
        <FollowButton id={of.id} />
        {me && how?.blocking && (
          <Button kind="danger" onClick={() => act("blocking", false)}>
            {t("home.unblock")}
          </Button>
        )}
        <Button kind="quiet" icon={Share2} label={t("home.share")} onClick={() => share(`/@${of.handle}`, name)} />
        {me && !mine && how && (
          <Menu
            label={t("common.more")}
            items={[
              {
                label: t(how.muting ? "home.unmute" : "home.mute"),
                icon: VolumeX,
                onChoose: () => act("muting", !how.muting),
              },
              !how.blocking && {
                label: t("home.block"),
                icon: Ban,
                danger: true,
                onChoose: () => act("blocking", true),
              },
              { label: t("home.report"), icon: Flag, danger: true, onChoose: report },
            ]}
          />
        )}
      </div>
      {mine && <EditProfile open={editing} of={of} onSaved={onChanged} />}
      <ReportDialog
        of={reported.value}
        onClose={() => {
          reported.value = null;
        }}
      />
    </header>
  );
}
