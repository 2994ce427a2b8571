import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";

/** Calls a Space off, after asking once more. */
export function CancelSpace({ space, ticketed }: { space: string; ticketed: boolean }) {
  const asking = useSignal(false);
  const { route } = useLocation();
  const close = () => {
    asking.value = false;
  };
  const cancel = async () => {
    await ok(api.POST("/api/v1/spaces/{space}/cancel", { params: { path: { space } } }));
    toast(t("home.spaceCanceled"));
    route("/");
  };
  return (
    <section class="card spread">
      <p>{t("home.cancelLead")}</p>
      <Button
        kind="danger"
        onClick={() => {
          asking.value = true;
        }}
      >
        {t("home.cancelSpace")}
      </Button>
      <Dialog
        title={t("home.cancelSure")}
        open={asking.value}
        onClose={close}
        actions={
          <>
            <Button onClick={close}>{t("home.keepSpace")}</Button>
            <Button kind="danger" onClick={cancel}>
              {t("home.cancelSpace")}
            </Button>
          </>
        }
      >
        <p>{t(ticketed ? "home.cancelTicketed" : "home.cancelText")}</p>
      </Dialog>
    </section>
  );
}
