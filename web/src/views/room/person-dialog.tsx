import { useSignal } from "@preact/signals";
import { Ban, Flag, User, Volume2, VolumeX } from "lucide";
import { lazy, Suspense } from "preact/compat";
import { useId } from "preact/hooks";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { FollowButton } from "@/parts/follow-button";
import { profile } from "@/state/profiles";
import { relate } from "@/state/relations";
import { hosts, seatOf } from "@/state/space";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Icon } from "@/ui/icon";
import { toast } from "@/ui/toast";
import styles from "./person-dialog.module.css";
import { useRoom } from "./room-context";

const HostActions = lazy(() => import("./host/person-actions"));

/** Somebody in the Space: how loud they are for us, and what we may do about them. */
export default function PersonDialog({ account }: { account: string }) {
  const { session, open } = useRoom();
  const state = session.state.value;
  const who = profile(account).value;
  const confirming = useSignal(false);
  if (!state) return null;
  const seat = seatOf(state, account);
  const name = who?.name ?? "…";
  const own = account === session.me;
  const close = () => {
    open.value = null;
  };
  const block = async () => {
    await relate(account, "blocking", true);
    toast(t("room.blockedDone", { name }));
    close();
    await session.feed.reload();
  };
  return (
    <Dialog title={name} sheet open onClose={close}>
      <div class={styles.head}>
        <Avatar of={who} size={72} />
        <div class="grow">
          <p class="soft ellipsis">@{who?.handle}</p>
          <p>
            {[
              seat ? t(`room.role_${seat.role as "host" | "cohost" | "speaker"}`) : t("room.listener"),
              seat && (seat.away ? t("room.away") : seat.muted ? t("room.muted") : t("room.micOn")),
              seat?.blocked && t("room.blocked"),
              own && t("room.you"),
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </div>
        <FollowButton id={account} small />
      </div>
      {seat && !own && <PersonVolume account={account} name={name} />}
      <div class={styles.actions}>
        {hosts(state.you.role) && (
          <Suspense fallback={null}>
            <HostActions account={account} name={name} onDone={close} />
          </Suspense>
        )}
        {own && seat && !hosts(state.you.role) && (
          <Button
            onClick={async () => {
              await ok(api.DELETE("/api/v1/spaces/{space}/mic", { params: { path: { space: state.id } } }));
              close();
            }}
          >
            {t("room.stepDown")}
          </Button>
        )}
        {who && (
          <a class={styles.link} href={`/@${who.handle}`}>
            <Icon of={User} size={20} />
            {t("room.openProfile")}
          </a>
        )}
        {!own && session.me && (
          <>
            {confirming.value ? (
              <div class={styles.confirm} role="alert">
                <p>{t(hosts(state.you.role) ? "room.blockAsHost" : "room.blockText", { name })}</p>
                <div class={styles.buttons}>
                  <Button
                    onClick={() => {
                      confirming.value = false;
                    }}
                  >
                    {t("common.cancel")}
                  </Button>
                  <Button kind="danger" icon={Ban} onClick={block}>
                    {t("room.block")}
                  </Button>
                </div>
              </div>
            ) : (
              <Button
                kind="danger"
                icon={Ban}
                onClick={() => {
                  confirming.value = true;
                }}
              >
                {t("room.blockSomebody", { name })}
              </Button>
            )}
            <Button
              kind="danger"
              icon={Flag}
              onClick={() => {
                open.value = { kind: "report", of: { kind: "account", space: state.id, account, name } };
              }}
            >
              {t("people.reportSomebody", { name })}
            </Button>
          </>
        )}
      </div>
    </Dialog>
  );
}

function PersonVolume({ account, name }: { account: string; name: string }) {
  const { session } = useRoom();
  const audio = session.audio.value;
  const volume = useSignal(audio?.personVolume(account) ?? 1);
  const id = useId();
  const set = (value: number) => {
    volume.value = value;
    audio?.setPersonVolume(account, value);
  };
  return (
    <div class={styles.volume}>
      <Button
        kind="quiet"
        icon={volume.value === 0 ? VolumeX : Volume2}
        label={t(volume.value === 0 ? "room.hearAgain" : "room.silenceForMe", { name })}
        onClick={() => set(volume.value === 0 ? 1 : 0)}
      />
      <label for={id}>{t("room.personVolume", { name })}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={1.5}
        step={0.05}
        value={volume.value}
        aria-valuetext={`${Math.round(volume.value * 100)}%`}
        onInput={(event) => set(event.currentTarget.valueAsNumber)}
      />
      <output for={id}>{Math.round(volume.value * 100)}%</output>
      {audio?.tier.value === "mix" && <p class="soft">{t("live.volumeInMix")}</p>}
    </div>
  );
}
