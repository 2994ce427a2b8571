import { t } from "@/i18n";
import { Dialog } from "@/ui/dialog";
import styles from "./help-dialog.module.css";
import { useRoom } from "./room-context";
import { SHORTCUTS } from "./shortcuts";

export default function HelpDialog() {
  const { open } = useRoom();
  return (
    <Dialog
      title={t("room.shortcuts")}
      open
      onClose={() => {
        open.value = null;
      }}
    >
      <dl class={styles.keys}>
        {SHORTCUTS.map(({ key, text }) => (
          <div key={key}>
            <dt>
              <kbd>{key.toUpperCase()}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd>
          </dt>
          <dd>{t("room.keyArrows")}</dd>
        </div>
      </dl>
    </Dialog>
  );
}
