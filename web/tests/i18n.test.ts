import { expect, test } from "vitest";
import { type Catalogue, clock, relative, t, useLanguage } from "@/i18n";
import de from "@/i18n/de";
import en from "@/i18n/en";

test("plurals follow the language", async () => {
  await useLanguage("en");
  expect(t("common.listeners", { count: 1 })).toBe("1 listening");
  expect(t("common.listeners", { count: 1200 })).toBe("1,200 listening");
  await useLanguage("de");
  expect(t("common.listeners", { count: 1 })).toBe("1 hört zu");
});

test("a text that a language lacks is English", async () => {
  await useLanguage("de");
  delete (de.errors as Partial<typeof de.errors>).internal;
  expect(t("errors.internal")).toBe("Something went wrong on the server.");
});

test("every text of a translation is one of the English catalogue, with the same places", () => {
  for (const [part, texts] of Object.entries(de)) {
    const english = (en as Catalogue)[part] ?? {};
    for (const [key, text] of Object.entries(texts)) {
      expect(english, `${part}.${key}`).toHaveProperty([key]);
      expect(places(text), `${part}.${key}`).toEqual(places(english[key]));
    }
  }
});

const places = (text: unknown) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();

test("times", async () => {
  await useLanguage("en");
  expect(clock(3725)).toBe("1:02:05");
  expect(clock(65.9)).toBe("1:05");
  expect(relative(1_000_000_000 + 5 * 60_000, 1_000_000_000)).toBe("in 5 minutes");
});
