// What the host may do with a replay: move its start, say what it is about, take everything home, delete it.

import { useSignal } from "@preact/signals";
import { Download, FileText, Scissors, Trash2 } from "lucide";
import { useEffect, useId } from "preact/hooks";
import { api, ok, type Schema } from "@/api/client";
import { clock, number, t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { kept, TextArea } from "@/ui/field";
import { Menu } from "@/ui/menu";
import { toast } from "@/ui/toast";
import type { Playback } from "./playback";

interface Props {
  space: string;
  replay: Schema<"ReplayDetail">;
  playback: Playback;
  /** The replay is another one now: ask again. */
  onChanged: () => Promise<void>;
}

export default function HostTools({ space, replay, playback, onChanged }: Props) {
  const open = useSignal<"trim" | "details" | "export" | "delete" | null>(null);
  const close = () => {
    open.value = null;
  };
  const show = (which: typeof open.value) => () => {
    open.value = which;
  };
  const path = { params: { path: { space } } };
  const remove = async () => {
    await ok(api.DELETE("/api/v1/spaces/{space}/replay", path));
    toast(t("replay.deleted"));
    close();
    await onChanged();
  };
  return (
    <>
      <Menu
        label={t("common.more")}
        items={[
          { label: t("replay.trim"), icon: Scissors, onChoose: show("trim") },
          { label: t("replay.details"), icon: FileText, onChoose: show("details") },
          { label: t("replay.export"), icon: Download, onChoose: show("export") },
          { label: t("replay.delete"), icon: Trash2, danger: true, onChoose: show("delete") },
        ]}
      />
      {open.value === "trim" && (
        <Trim space={space} replay={replay} playback={playback} onChanged={onChanged} onClose={close} />
      )}
      {open.value === "details" && <Details space={space} onClose={close} />}
      {open.value === "export" && <Exports space={space} onClose={close} />}
      <Dialog
        title={t("replay.deleteSure")}
        open={open.value === "delete"}
        onClose={close}
        actions={
          <>
            <Button onClick={close}>{t("common.cancel")}</Button>
            <Button kind="danger" icon={Trash2} onClick={remove}>
              {t("replay.delete")}
            </Button>
          </>
        }
      >
        <p>{t("replay.deleteText")}</p>
      </Dialog>
    </>
  );
}

function Trim({ space, replay, playback, onChanged, onClose }: Props & { onClose: () => void }) {
  // Times of a trim count from the recording's own beginning, those of the player from the start of today.
  const whole = (replay.start_ms + replay.duration_ms) / 1_000;
  const start = useSignal(replay.start_ms / 1_000);
  const slider = useId();
  const save = async () => {
    await ok(
      api.PATCH("/api/v1/spaces/{space}/replay", {
        params: { path: { space } },
        body: { start_ms: Math.round(start.value * 50) * 20 },
      }),
    );
    toast(t("replay.trimmed"));
    onClose();
    await onChanged();
  };
  const heard = start.value - replay.start_ms / 1_000;
  return (
    <Dialog
      title={t("replay.trim")}
      open
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" onClick={save}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      <p>{t("replay.trimHint")}</p>
      <label for={slider}>{t("replay.trimAt", { at: clock(start.value) })}</label>
      <input
        id={slider}
        type="range"
        min={0}
        max={Math.max(0, Math.floor(whole - 1))}
        step={0.1}
        value={start.value}
        aria-valuetext={clock(start.value)}
        onInput={(event) => {
          start.value = Number(event.currentTarget.value);
        }}
      />
      <div class="row">
        <Button
          onClick={() => {
            start.value = replay.start_ms / 1_000 + playback.at.peek();
          }}
        >
          {t("replay.trimHere")}
        </Button>
        <Button
          disabled={heard < 0}
          onClick={() => {
            playback.seek(heard);
            if (!playback.playing.peek()) playback.toggle();
          }}
        >
          {t("replay.trimListen")}
        </Button>
      </div>
    </Dialog>
  );
}

function Details({ space, onClose }: { space: string; onClose: () => void }) {
  const text = useSignal("");
  const save = async () => {
    await ok(
      api.POST("/api/v1/spaces/{space}/replay/publish", { params: { path: { space } }, body: { text: text.value } }),
    );
    toast(t("replay.detailsSaved"));
    onClose();
  };
  return (
    <Dialog
      title={t("replay.details")}
      open
      onClose={onClose}
      actions={
        <Button kind="primary" onClick={save}>
          {t("common.save")}
        </Button>
      }
    >
      <TextArea label={t("replay.details")} hint={t("replay.detailsHint")} maxLength={500} {...kept(text)} />
    </Dialog>
  );
}

const MEGABYTE = 1_000_000;

function Exports({ space, onClose }: { space: string; onClose: () => void }) {
  const found = useSignal<Schema<"ExportView">[]>([]);
  const path = { params: { path: { space } } };
  const ask = async () => {
    found.value = (await ok(api.GET("/api/v1/spaces/{space}/exports", path))).data;
  };
  useEffect(() => {
    const quietly = () => ask().catch(() => {});
    quietly();
    const timer = setInterval(() => found.peek().some(({ state }) => state === "making") && quietly(), 2_000);
    return () => clearInterval(timer);
  }, []);
  const start = async () => {
    await ok(api.POST("/api/v1/spaces/{space}/export", path));
    await ask();
  };
  return (
    <Dialog
      title={t("replay.export")}
      open
      onClose={onClose}
      actions={
        <Button kind="primary" icon={Download} onClick={start}>
          {t("replay.export")}
        </Button>
      }
    >
      <p>{t("replay.exportHint")}</p>
      <ul class="stack" aria-live="polite">
        {found.value.map(({ number: key, state, url, bytes }) => (
          <li key={key}>
            {state === "making" && t("replay.exportMaking")}
            {state === "failed" && t("replay.exportFailed")}
            {state === "ready" && url && (
              <a href={url} download>
                {t("replay.exportReady", { size: `${number(Math.ceil(bytes / MEGABYTE))} MB` })}
              </a>
            )}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
