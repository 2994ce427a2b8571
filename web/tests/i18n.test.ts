import { expect, test, vi } from "vitest";
import { type Catalogue, clock, language, relative, t, useLanguage } from "@/i18n";
import de from "@/i18n/de";
import en from "@/i18n/en";

test("plurals follow the language", async () => {
  await useLanguage("en");
  expect(t("common.listeners", { count: 1 })).toBe("1 listening");
  expect(t("common.listeners", { count: 1200 })).toBe("1,200 listening");
  await useLanguage("de");
  expect(t("common.listeners", { count: 1 })).toBe("1 hört zu");
});

test("the browser's first language that there is a catalogue of is taken, else English", async () => {
  for (const [languages, taken] of [
    [["fr-FR", "de-AT", "en"], "de"],
    [["fr"], "en"],
    [["toString", "en-GB"], "en"],
  ] as const) {
    vi.stubGlobal("navigator", { languages });
    await useLanguage(null);
    expect(language.value).toBe(taken);
  }
  vi.unstubAllGlobals();
});

test("every language has every text, with the same places", () => {
  expect(keys(de)).toEqual(keys(en));
  for (const [part, texts] of Object.entries(de as Catalogue)) {
    for (const [key, text] of Object.entries(texts)) {
      expect(places(text), `${part}.${key}`).toEqual(places((en as Catalogue)[part]?.[key]));
    }
  }
});

const keys = (catalogue: Catalogue) =>
  Object.entries(catalogue)
    .flatMap(([part, texts]) => Object.keys(texts).map((key) => `${part}.${key}`))
    .sort();

const places = (text: unknown) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();

test("times", async () => {
  await useLanguage("en");
  expect(clock(3725)).toBe("1:02:05");
  expect(clock(65.9)).toBe("1:05");
  expect(relative(1_000_000_000 + 5 * 60_000, 1_000_000_000)).toBe("in 5 minutes");
});
