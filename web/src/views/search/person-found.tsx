import { ApiError, api, ok } from "@/api/client";
import { FollowButton } from "@/parts/follow-button";
import { PersonRow } from "@/parts/people";
import { learn } from "@/state/profiles";
import { useLoaded } from "@/ui/use-loaded";
import styles from "./search.module.css";

/** The account of this handle, if there is one. */
export function PersonFound({ handle }: { handle: string }) {
  const { value } = useLoaded(async () => {
    try {
      const found = await ok(api.GET("/api/v1/accounts/by-handle/{handle}", { params: { path: { handle } } }));
      learn(found);
      return found.id;
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
