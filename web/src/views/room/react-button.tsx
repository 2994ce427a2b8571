import { useSignal } from "@preact/signals";
import { SmilePlus } from "lucide";
import { useLayoutEffect, useRef } from "preact/hooks";
import { ApiError, api, ok } from "@/api/client";
import { t } from "@/i18n";
import { limits } from "@/state/limits";
import { Button } from "@/ui/button";
import { explain } from "@/ui/errors";
import { toast } from "@/ui/toast";
import styles from "./react-button.module.css";
import { rise } from "./reaction-rain";
import { REACTIONS } from "./reactions";
import { useRoom } from "./room-context";

/** Opens a row of reactions. It stays open: applause is rarely one clap. */
export function ReactButton() {
  const { session } = useRoom();
  const shown = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!shown.value) return;
    root.current?.querySelector<HTMLElement>("[data-reaction]")?.focus();
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) shown.value = false;
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [shown.value]);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Escape" && shown.value) {
      shown.value = false;
      root.current?.querySelector<HTMLElement>("button[aria-expanded]")?.focus();
      event.stopPropagation();
    }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const all = [...(root.current?.querySelectorAll<HTMLElement>("[data-reaction]") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (step && at >= 0) all[(at + step + all.length) % all.length]?.focus();
  };
  const react = async (kind: string) => {
    // Ours is seen at once; the server's count of it is not shown again.
    rise(kind, 1, true);
    try {
      await ok(
        api.POST("/api/v1/spaces/{space}/reactions", {
          params: { path: { space: session.space } },
          body: { emoji: kind },
        }),
      );
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "rate.limited")) toast(explain(error), "warn");
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the buttons inside
    <div class={styles.root} ref={root} onKeyDown={keys}>
      {shown.value && (
        <div class={styles.row} role="toolbar" aria-label={t("room.reactions")}>
          {REACTIONS.filter(({ kind }) => limits.value?.reactions.includes(kind) ?? true).map(
            ({ kind, picture, name }) => (
              <button
                type="button"
                key={kind}
                data-reaction={kind}
                aria-label={t(name)}
                title={t(name)}
                onClick={() => react(kind)}
              >
                <img src={picture} alt="" width={32} height={32} />
              </button>
            ),
          )}
        </div>
      )}
      <Button
        kind="quiet"
        icon={SmilePlus}
        label={t("room.react")}
        aria-expanded={shown.value}
        onClick={() => {
          shown.value = !shown.value;
        }}
      />
    </div>
  );
}
