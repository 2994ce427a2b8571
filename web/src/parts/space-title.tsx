import { type Signal, signal } from "@preact/signals";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";

const known = new Map<string, Signal<string>>();

/** A Space's title where a list knows only its id: asked for once; "Space" until then, or if it is not for us. */
export function SpaceTitle({ id }: { id: string }) {
  return <>{titleOf(id).value || t("home.aSpace")}</>;
}

function titleOf(id: string): Signal<string> {
  const found = known.get(id);
  if (found) return found;
  const place = signal("");
  known.set(id, place);
  ok(api.GET("/api/v1/spaces/{space}", { params: { path: { space: id } } })).then(
    ({ title }) => {
      place.value = title;
    },
    () => known.delete(id), // asked again by whoever needs it next
  );
  return place;
}
