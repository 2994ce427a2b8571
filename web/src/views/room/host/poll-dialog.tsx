import { useSignal } from "@preact/signals";
import { Plus } from "lucide";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { limits } from "@/state/limits";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { explain } from "@/ui/errors";
import { Field } from "@/ui/field";
import { useRoom } from "../room-context";

const LEAST = 2;

/** Asks the room. */
export default function PollDialog() {
  const { session, open } = useRoom();
  const question = useSignal("");
  const options = useSignal(["", ""]);
  const trouble = useSignal<string | null>(null);
  const close = () => {
    open.value = null;
  };
  const filled = options.value.map((option) => option.trim()).filter(Boolean);
  const ask = async () => {
    try {
      await ok(
        api.POST("/api/v1/spaces/{space}/polls", {
          params: { path: { space: session.space } },
          body: { question: question.value.trim(), options: filled },
        }),
      );
      close();
    } catch (error) {
      trouble.value = explain(error);
    }
  };
  return (
    <Dialog
      title={t("room.newPoll")}
      open
      onClose={close}
      actions={
        <>
          <Button onClick={close}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={!question.value.trim() || filled.length < LEAST} onClick={ask}>
            {t("room.askPoll")}
          </Button>
        </>
      }
    >
      <Field
        label={t("room.pollQuestion")}
        value={question.value}
        maxLength={limits.value?.max_poll_text}
        error={trouble.value}
        onValue={(value) => {
          question.value = value;
        }}
      />
      {options.value.map((option, index) => (
        <Field
          key={index}
          label={t("room.pollOption", { count: index + 1 })}
          value={option}
          maxLength={limits.value?.max_poll_text}
          onValue={(value) => {
            options.value = options.value.map((one, at) => (at === index ? value : one));
          }}
        />
      ))}
      {options.value.length < (limits.value?.max_poll_options ?? LEAST) && (
        <Button
          kind="quiet"
          icon={Plus}
          onClick={() => {
            options.value = [...options.value, ""];
          }}
        >
          {t("room.pollAdd")}
        </Button>
      )}
    </Dialog>
  );
}
