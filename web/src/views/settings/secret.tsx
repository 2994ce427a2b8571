import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import styles from "./settings.module.css";

/** A secret that the server tells once. */
export function SecretDialog({ secret, onClose }: { secret: string | null; onClose: () => void }) {
  return (
    <Dialog
      title={t("settings.secretTitle")}
      open={secret !== null}
      onClose={onClose}
      actions={
        <Button
          kind="primary"
          onClick={async () => {
            await navigator.clipboard.writeText(secret ?? "");
            toast(t("settings.secretCopied"));
          }}
        >
          {t("settings.copy")}
        </Button>
      }
    >
      <p>{t("settings.secretLead")}</p>
      <code class={styles.secret}>{secret}</code>
    </Dialog>
  );
}
