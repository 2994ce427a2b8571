import { Bell, BellRing } from "lucide";
import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { remind, reminders } from "@/state/reminders";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";

/** Tells the account when the scheduled Space starts. Guests are asked to sign in. */
export function ReminderButton({ space, small }: { space: string; small?: boolean }) {
  const { url, route } = useLocation();
  const set = reminders.value?.has(space) ?? false;
  const change = async () => {
    if (!account.value) return route(`/sign-in?next=${encodeURIComponent(url)}`);
    await remind(space, !set);
    toast(t(set ? "home.reminderTaken" : "home.reminderSet"));
  };
  return (
    <Button small={small} icon={set ? BellRing : Bell} aria-pressed={set} onClick={change}>
      {t(set ? "home.reminderOn" : "home.reminder")}
    </Button>
  );
}
