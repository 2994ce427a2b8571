import { dateTime, relative } from "@/i18n";

/** A moment: as a date, or as the distance from now (then the date is its tooltip). */
export function DateTime({ at, from }: { at: string; from?: "now" }) {
  return (
    <time dateTime={at} title={from ? dateTime(at) : undefined}>
      {from ? relative(at) : dateTime(at)}
    </time>
  );
}
