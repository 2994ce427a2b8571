import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { useRoom } from "./room-context";

/** For hosts: to leave is not to end. Says who goes on with the Space. */
export default function LeaveDialog() {
  const { session, open } = useRoom();
  const state = session.state.value;
  if (!state) return null;
  const host = state.you.role === "host";
  const heir = state.stage.find((seat) => seat.role === "cohost" && !seat.away);
  const name = heir ? (profile(heir.account).value?.name ?? "…") : "";
  const close = () => {
    open.value = null;
  };
  return (
    <Dialog
      title={t(host ? "room.leaveOrEnd" : "room.leaveCohost")}
      open
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{t("room.stay")}</Button>
          <Button
            onClick={async () => {
              close();
              await session.leave();
            }}
          >
            {t("room.leave")}
          </Button>
          {host && (
            <Button
              kind="danger"
              onClick={async () => {
                await ok(api.POST("/api/v1/spaces/{space}/end", { params: { path: { space: state.id } } }));
                close();
              }}
            >
              {t("room.endForAll")}
            </Button>
          )}
        </>
      }
    >
      {!host ? (
        <p>{t("room.leaveCohostText")}</p>
      ) : (
        <p>{heir ? t("room.leaveHeir", { name }) : t("room.leaveNoHeir")}</p>
      )}
      {host && <p class="soft">{t("room.endText")}</p>}
    </Dialog>
  );
}
