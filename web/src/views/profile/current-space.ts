import { api, ok } from "@/api/client";

/** The live Space in which somebody is, as far as one may know it. Throws ApiError. */
export async function currentSpace(account: string): Promise<string | null> {
  const found = await ok(api.GET("/api/v1/accounts/{account}/spaces", { params: { path: { account } } }));
  return found.now[0]?.space.id ?? found.live[0]?.id ?? null;
}
