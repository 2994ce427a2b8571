import { expect, test } from "vitest";
import { clock, relative, t, useLanguage } from "@/i18n";

test("plurals follow the language", async () => {
  await useLanguage("en");
  expect(t("common.listeners", { count: 1 })).toBe("1 listening");
  expect(t("common.listeners", { count: 1200 })).toBe("1,200 listening");
  await useLanguage("de");
  expect(t("common.listeners", { count: 1 })).toBe("1 hört zu");
});

test("a text that a language lacks is English", async () => {
  await useLanguage("de");
  expect(t("errors.internal")).toBe("Something went wrong on the server.");
});

test("times", async () => {
  await useLanguage("en");
  expect(clock(3725)).toBe("1:02:05");
  expect(clock(65.9)).toBe("1:05");
  expect(relative(1_000_000_000 + 5 * 60_000, 1_000_000_000)).toBe("in 5 minutes");
});
