import { useSignal } from "@preact/signals";
import { ArrowDownToLine, Crown, LogOut, Mic, MicOff, ShieldMinus, ShieldPlus, UserCheck, UserMinus } from "lucide";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { limits } from "@/state/limits";
import { seatOf } from "@/state/space";
import { Button } from "@/ui/button";
import { Switch } from "@/ui/field";
import { toast } from "@/ui/toast";
import styles from "../person-dialog.module.css";
import { useRoom } from "../room-context";

const RANK: Record<string, number> = { host: 3, cohost: 2, speaker: 1 };

interface Props {
  account: string;
  name: string;
  onDone: () => void;
}

/** What hosts may do about somebody. The server has the last word; only what it can allow is offered. */
export default function HostActions({ account, name, onDone }: Props) {
  const { session } = useRoom();
  const removing = useSignal(false);
  const rejoin = useSignal(false);
  const state = session.state.value;
  if (!state) return null;
  const own = account === session.me;
  const me = state.you.role;
  const seat = seatOf(state, account);
  const below = (RANK[me] ?? 0) > (RANK[seat?.role ?? ""] ?? 0);
  const at = { params: { path: { space: state.id, account } } };
  const offer = state.offers.find((one) => one.account === account);
  const waiting = state.queue.some((one) => one.account === account);
  const cohosts = state.stage.filter((one) => one.role === "cohost").length;
  /** Tells that it is done, for what leaves no other trace on the screen. */
  const then = async (work: Promise<unknown>, said: string) => {
    await work;
    toast(said);
    onDone();
  };
  if (own) {
    if (me !== "cohost") return null;
    return (
      <Button
        icon={ShieldMinus}
        onClick={() => then(ok(api.DELETE("/api/v1/spaces/{space}/cohosts/{account}", at)), t("room.cohostGivenUp"))}
      >
        {t("room.giveUpCohost")}
      </Button>
    );
  }
  return (
    <>
      {waiting && (
        <Button
          kind="primary"
          icon={UserCheck}
          onClick={() =>
            then(
              ok(api.POST("/api/v1/spaces/{space}/requests/{account}/approve", at)),
              t("room.acceptedDone", { name }),
            )
          }
        >
          {t("room.acceptRequest", { name })}
        </Button>
      )}
      {seat && !seat.muted && below && (
        <Button
          icon={MicOff}
          onClick={() =>
            then(ok(api.POST("/api/v1/spaces/{space}/stage/{account}/mute", at)), t("room.mutedDone", { name }))
          }
        >
          {t("room.muteSomebody", { name })}
        </Button>
      )}
      {seat?.muted && (
        <Button
          icon={Mic}
          onClick={() =>
            then(ok(api.POST("/api/v1/spaces/{space}/stage/{account}/ask-unmute", at)), t("room.askedDone", { name }))
          }
        >
          {t("room.askUnmute")}
        </Button>
      )}
      {!seat && !offer && !waiting && (
        <Button
          kind="primary"
          icon={Mic}
          onClick={() =>
            then(ok(api.PUT("/api/v1/spaces/{space}/invites/{account}", at)), t("room.invitedDone", { name }))
          }
        >
          {t("room.inviteToSpeak")}
        </Button>
      )}
      {offer && (
        <Button
          icon={UserMinus}
          onClick={() =>
            then(ok(api.DELETE("/api/v1/spaces/{space}/invites/{account}", at)), t("room.inviteTakenBack", { name }))
          }
        >
          {t("room.takeInviteBack")}
        </Button>
      )}
      {me === "host" &&
        seat?.role !== "cohost" &&
        offer?.role !== "cohost" &&
        cohosts < (limits.value?.max_cohosts ?? Number.POSITIVE_INFINITY) && (
          <Button
            icon={ShieldPlus}
            onClick={() =>
              then(ok(api.PUT("/api/v1/spaces/{space}/cohosts/{account}", at)), t("room.invitedDone", { name }))
            }
          >
            {t("room.inviteCohost")}
          </Button>
        )}
      {me === "host" && seat?.role === "cohost" && (
        <>
          <Button
            icon={Crown}
            onClick={() =>
              then(
                ok(
                  api.POST("/api/v1/spaces/{space}/transfer", {
                    params: { path: { space: state.id } },
                    body: { account },
                  }),
                ),
                t("room.transferDone", { name }),
              )
            }
          >
            {t("room.makeHost")}
          </Button>
          <Button
            icon={ShieldMinus}
            onClick={() =>
              then(ok(api.DELETE("/api/v1/spaces/{space}/cohosts/{account}", at)), t("room.cohostDropped", { name }))
            }
          >
            {t("room.dropCohost")}
          </Button>
        </>
      )}
      {seat?.role === "speaker" && (
        <Button
          icon={ArrowDownToLine}
          onClick={() =>
            then(ok(api.POST("/api/v1/spaces/{space}/stage/{account}/revoke", at)), t("room.revokedDone", { name }))
          }
        >
          {t("room.revoke")}
        </Button>
      )}
      {below &&
        (removing.value ? (
          <div class={styles.confirm} role="alert">
            <p>{t("room.removeText", { name })}</p>
            <Switch
              label={t("room.allowRejoin")}
              checked={rejoin.value}
              onChange={(on) => {
                rejoin.value = on;
              }}
            />
            <div class={styles.buttons}>
              <Button
                onClick={() => {
                  removing.value = false;
                }}
              >
                {t("common.cancel")}
              </Button>
              <Button
                kind="danger"
                icon={LogOut}
                onClick={() =>
                  then(
                    ok(
                      api.POST("/api/v1/spaces/{space}/people/{account}/remove", {
                        ...at,
                        body: { allow_rejoin: rejoin.value ? true : null },
                      }),
                    ),
                    t("room.removedDone", { name }),
                  )
                }
              >
                {t("room.remove")}
              </Button>
            </div>
          </div>
        ) : (
          <Button
            kind="danger"
            icon={LogOut}
            onClick={() => {
              removing.value = true;
            }}
          >
            {t("room.removeSomebody")}
          </Button>
        ))}
    </>
  );
}
