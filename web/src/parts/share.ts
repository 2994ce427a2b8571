// Handing on an address: the system's own sheet where there is one, else the clipboard.
import { t } from "@/i18n";
import { toast } from "@/ui/toast";

/** Shares `path` of this site. Says so, if it went to the clipboard. Nothing happens if the person thinks better of it. */
export async function share(path: string, title: string): Promise<void> {
  const url = new URL(path, location.origin).href;
  if (navigator.share) {
    try {
      await navigator.share({ url, title });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
    return;
  }
  await navigator.clipboard.writeText(url);
  toast(t("common.copied"));
}
