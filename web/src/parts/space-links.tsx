import { CalendarPlus, Share2 } from "lucide";
import { t } from "@/i18n";
import { Button } from "@/ui/button";
import { LinkButton } from "@/ui/link-button";
import { share } from "./share";

/** Share, and for a scheduled Space the file for the calendar. */
export function SpaceLinks({ space }: { space: { id: string; title: string; status: string } }) {
  return (
    <>
      <Button icon={Share2} onClick={() => share(`/s/${space.id}`, space.title || t("common.appName"))}>
        {t("home.share")}
      </Button>
      {space.status === "scheduled" && (
        <LinkButton icon={CalendarPlus} href={`/s/${space.id}/calendar.ics`} download="space.ics">
          {t("home.calendar")}
        </LinkButton>
      )}
    </>
  );
}
