import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ok } from "@/api/client";
import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import { Avatar } from "@/ui/avatar";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";
import { useRoom } from "../room-context";
import styles from "./host.module.css";

const PAGE = 100;
const MOST_PAGES = 20;

/** Who was put out and not let in again, from the Space's log. */
async function removed(space: string): Promise<string[]> {
  const out = new Set<string>();
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query: { limit: number; cursor?: string } = cursor ? { limit: PAGE, cursor } : { limit: PAGE };
    const answer = await ok(api.GET("/api/v1/spaces/{space}/history", { params: { path: { space }, query } }));
    for (const { event, data } of answer.data) {
      const account = String((data as Record<string, unknown>).account ?? "");
      if (event === "removed") out.add(account);
      else if (event === "readmitted" || event === "joined" || event === "speaker_added") out.delete(account);
    }
    cursor = answer.next;
    if (cursor === null) break;
  }
  return [...out].reverse();
}

/** People who were removed; hosts may let them in again. Nothing, if nobody was. */
export function RemovedPeople() {
  const { session } = useRoom();
  const list = useSignal<string[]>([]);
  const load = () =>
    removed(session.space).then(
      (found) => {
        list.value = found;
      },
      () => {}, // the rest of the tools work without
    );
  useEffect(() => {
    void load();
    return session.feed.listen(({ event }) => {
      if (event === "removed" || event === "readmitted") void load();
    });
  }, [session]);
  if (list.value.length === 0) return null;
  return (
    <section class={styles.section}>
      <h3>{t("room.removedPeople")}</h3>
      <ul>
        {list.value.map((account) => (
          <Removed key={account} account={account} />
        ))}
      </ul>
    </section>
  );
}

function Removed({ account }: { account: string }) {
  const { session } = useRoom();
  const who = profile(account).value;
  const readmit = async () => {
    await ok(
      api.POST("/api/v1/spaces/{space}/people/{account}/readmit", {
        params: { path: { space: session.space, account } },
      }),
    );
    toast(t("room.readmitted", { name: who?.name ?? "" }));
  };
  return (
    <li class="row">
      <Avatar of={who} size={32} />
      <span class="grow ellipsis">{who?.name ?? "…"}</span>
      <Button small onClick={readmit}>
        {t("room.readmit")}
      </Button>
    </li>
  );
}
