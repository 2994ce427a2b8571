import { ApiError } from "@/api/client";
import { findAccount } from "@/parts/find-account";
import { FollowButton } from "@/parts/follow-button";
import { PersonRow } from "@/parts/people";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./search.module.css";

/** The account of this handle, if there is one. */
export function PersonFound({ handle }: { handle: string }) {
  const { value } = useLoaded(async () => {
    try {
      return (await findAccount(handle)).id;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }, [handle]);
  if (!value.value) return null;
  return (
    <div class={styles.person}>
      <PersonRow id={value.value}>
        <FollowButton id={value.value} small />
      </PersonRow>
    </div>
  );
}
