import { t } from "@/i18n";
import { profile } from "@/state/profiles";
import { relate, relation } from "@/state/relations";
import { account } from "@/state/session";
import { Button } from "@/ui/button";
import { nameOf } from "./people";

/** Follows somebody, or no more. Not there for guests, oneself and those one blocks. */
export function FollowButton({ id, small }: { id: string; small?: boolean }) {
  const me = account.value;
  if (!me || me.id === id) return null;
  const now = relation(id).value;
  if (!now || now.blocking) return null;
  const name = nameOf(profile(id).value);
  return (
    <Button
      small={small}
      kind={now.following ? "plain" : "primary"}
      aria-label={t(now.following ? "home.unfollowSomebody" : "home.followSomebody", { name })}
      onClick={() => relate(id, "following", !now.following)}
    >
      {t(now.following ? "home.following" : "home.follow")}
    </Button>
  );
}
