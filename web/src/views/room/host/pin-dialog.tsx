import { useSignal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field, TextArea } from "@/ui/field";
import { useRoom } from "../room-context";

const LONGEST = 280;
const OWN_POST = /\/posts\/([0-9]+)$/;

/** Pins something: words, a link, or a post of this site by its address. */
export default function PinDialog() {
  const { session, open } = useRoom();
  const text = useSignal("");
  const link = useSignal("");
  const trouble = useSignal<string | null>(null);
  const close = () => {
    open.value = null;
  };
  const pin = async () => {
    try {
      const post = postOfOurs(link.value) ?? (await write());
      await ok(api.PUT("/api/v1/spaces/{space}/posts/{post}", { params: { path: { space: session.space, post } } }));
      close();
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  const write = async () => {
    const address = link.value.trim();
    const body = { text: text.value.trim(), link: address ? withScheme(address) : null, poll: [], reply_to: null };
    return (await ok(api.POST("/api/v1/posts", { body }))).id;
  };
  return (
    <Dialog
      title={t("room.pin")}
      open
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={!text.value.trim() && !link.value.trim()} onClick={pin}>
            {t("room.pin")}
          </Button>
        </>
      }
    >
      <TextArea
        label={t("room.pinText")}
        value={text.value}
        maxLength={LONGEST}
        onValue={(value) => {
          text.value = value;
        }}
      />
      <Field
        label={t("room.pinLink")}
        hint={t("room.pinLinkHint")}
        type="url"
        value={link.value}
        error={trouble.value}
        onValue={(value) => {
          link.value = value;
        }}
      />
    </Dialog>
  );
}

function postOfOurs(address: string): string | null {
  try {
    const url = new URL(address.trim(), location.origin);
    return url.origin === location.origin ? (OWN_POST.exec(url.pathname)?.[1] ?? null) : null;
  } catch {
    return null;
  }
}

const withScheme = (address: string) => (/^https?:\/\//i.test(address) ? address : `https://${address}`);
