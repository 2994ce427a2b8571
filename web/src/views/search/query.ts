// What the words in the field ask for.

/** The words as the server wants them, or null if there is nothing to ask. */
export function searchable(text: string): string | null {
  const words = text.trim().replace(/\s+/g, " ").slice(0, 200);
  return words.replace(/[@*]/g, "").trim() === "" ? null : words;
}

/** The address of a search. */
export function searchAddress(text: string, topic: string): string {
  const query = new URLSearchParams();
  if (text.trim()) query.set("q", text.trim());
  if (topic) query.set("topic", topic);
  const said = query.toString();
  return said ? `/search?${said}` : "/search";
}
