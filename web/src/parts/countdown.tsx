import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { relative, t } from "@/i18n";

/** "in 5 minutes", kept right. When the time has come it says so: a host may be late. */
export function Countdown({ to }: { to: string }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      now.value = Date.now();
    }, 1_000);
    return () => clearInterval(timer);
  }, []);
  return <span>{new Date(to).getTime() <= now.value ? t("home.startsSoon") : relative(to, now.value)}</span>;
}
