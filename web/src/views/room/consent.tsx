// Captions need the consent of who speaks: asked the first time somebody opens their microphone in a Space.

import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { type Room, useRoom } from "./room-context";

const asked = (space: string) => `captions-asked:${space}`;

/** Opens or closes the microphone; asks about captions, if that has to be asked and was not. Throws ApiError. */
export async function toggleMic({ session, open }: Room): Promise<void> {
  await session.toggleMic();
  const state = session.state.peek();
  if (!state?.captions || state.you.consented || !session.onAir.peek()) return;
  if (sessionStorage.getItem(asked(session.space))) return;
  open.value = { kind: "consent" };
}

/** Says yes or no. Throws ApiError. */
export async function consent(space: string, on: boolean): Promise<void> {
  await ok(api.PUT("/api/v1/spaces/{space}/captions/consent", { params: { path: { space } }, body: { on } }));
  sessionStorage.setItem(asked(space), "1");
}

export default function ConsentDialog() {
  const { session, open } = useRoom();
  const answer = async (on: boolean) => {
    if (on) await consent(session.space, true);
    sessionStorage.setItem(asked(session.space), "1");
    open.value = null;
  };
  return (
    <Dialog
      title={t("room.consentTitle")}
      open
      onClose={() => void answer(false)}
      actions={
        <>
          <Button onClick={() => answer(false)}>{t("room.consentNo")}</Button>
          <Button kind="primary" onClick={() => answer(true)}>
            {t("room.consentYes")}
          </Button>
        </>
      }
    >
      <p>{t("room.consentText")}</p>
      <p class="soft">{t("room.consentMore")}</p>
    </Dialog>
  );
}
