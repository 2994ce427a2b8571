// What the words in the field ask for.

/** The words as the server wants them, or null if there is nothing to ask. */
export function searchable(text: string): string | null {
  const words = text.trim().replace(/\s+/g, " ").slice(0, 200);
  return words.replace(/[@*]/g, "").trim() === "" ? null : words;
}

/** The handle that somebody may mean: the only word, with or without @. */
export function handleIn(text: string): string | null {
  const found = /^@?([0-9A-Za-z_]{1,15})$/.exec(text.trim());
  return found?.[1]?.toLowerCase() ?? null;
}

/** The address of a search. */
export function searchAddress(text: string, topic: string): string {
  const query = new URLSearchParams();
  if (text.trim()) query.set("q", text.trim());
  if (topic) query.set("topic", topic);
  const said = query.toString();
  return said ? `/search?${said}` : "/search";
}
