import { act, renderHook, waitFor } from "@testing-library/preact";
import { expect, test } from "vitest";
import { ApiError } from "@/api/client";
import { followed, type Page, refreshed, usePaged } from "@/parts/paged";

const id = (one: string) => one;

test("a fresh first page replaces the old one; what was loaded behind it stays", () => {
  expect(refreshed(["a", "b", "c", "d"], 2, ["new", "a"], id)).toEqual(["new", "a", "c", "d"]);
});

test("what moved to the front is not shown twice", () => {
  expect(refreshed(["a", "b", "c", "d"], 2, ["d", "a"], id)).toEqual(["d", "a", "c"]);
});

test("a page that overlaps, since the list moved meanwhile, brings only what is new", () => {
  expect(followed(["a", "b"], ["b", "c"], id)).toEqual(["a", "b", "c"]);
});

const pages: Record<string, Page<string>> = {
  "": { data: ["a", "b"], next: "2" },
  "2": { data: ["b", "c"], next: null },
};

test("pages are asked for one by one, each with the cursor of the one before", async () => {
  const asked: (string | undefined)[] = [];
  const { result } = renderHook(() =>
    usePaged(
      async (cursor) => {
        asked.push(cursor);
        return pages[cursor ?? ""] as Page<string>;
      },
      id,
      [],
    ),
  );
  await waitFor(() => expect(result.current.items.value).toEqual(["a", "b"]));
  expect(result.current.hasMore.value).toBe(true);
  await act(() => result.current.more());
  expect(result.current.items.value).toEqual(["a", "b", "c"]);
  expect(result.current.hasMore.value).toBe(false);
  await act(() => result.current.more());
  expect(asked).toEqual([undefined, "2"]);
  await act(() => result.current.again());
  expect(result.current.items.value).toEqual(["a", "b", "c"]);
  expect(result.current.hasMore.value).toBe(false);
});

test("a refusal on the way leaves what is there", async () => {
  let refuse = false;
  const { result } = renderHook(() =>
    usePaged(
      async () => {
        if (refuse) throw new ApiError("store.unavailable", 503, "away");
        return pages[""] as Page<string>;
      },
      id,
      [],
    ),
  );
  await waitFor(() => expect(result.current.items.value).toEqual(["a", "b"]));
  refuse = true;
  await act(() => result.current.again());
  expect(result.current.items.value).toEqual(["a", "b"]);
  expect(result.current.error.value).toMatchObject({ code: "store.unavailable" });
});

test("an answer to a question that was asked before the inputs changed is dropped", async () => {
  const open: Record<string, (page: Page<string>) => void> = {};
  const { result, rerender } = renderHook(
    ({ of }: { of: string }) =>
      usePaged(() => new Promise<Page<string>>((resolve) => Object.assign(open, { [of]: resolve })), id, [of]),
    { initialProps: { of: "old" } },
  );
  rerender({ of: "new" });
  await waitFor(() => expect(Object.keys(open)).toEqual(["old", "new"]));
  await act(async () => {
    open.new?.({ data: ["new"], next: null });
    open.old?.({ data: ["old"], next: "more" });
  });
  expect(result.current.items.value).toEqual(["new"]);
  expect(result.current.hasMore.value).toBe(false);
});
