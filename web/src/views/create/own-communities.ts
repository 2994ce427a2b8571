import { api, ok } from "@/api/client";

/** Communities in which the account may create Spaces, as options of a choice. Throws ApiError. */
export async function ownCommunities(): Promise<[string, string][]> {
  const { data } = await ok(api.GET("/api/v1/me/communities"));
  return data
    .filter(({ role }) => role === "admin" || role === "moderator")
    .map(({ community }) => [community.id, community.name]);
}
