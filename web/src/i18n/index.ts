// Every string that people read comes from a catalogue: one file per part of the page and language under `i18n/<lang>/`.
// Values are text with `{name}` places, or `{one, other, …}` by the plural category of `count` (CLDR, through Intl).

import { signal } from "@preact/signals";
import type en from "./en";

type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;
export type Catalogue = { [part: string]: { [key: string]: string | Plural } };

/** `"room.leave"`: a part and a key of it. */
export type Key = {
  [Part in keyof typeof en]: `${Part & string}.${keyof (typeof en)[Part] & string}`;
}[keyof typeof en];

type Places = Record<string, string | number>;

// Nobody loads a language that they do not read.
const LOADERS = {
  en: () => import("./en"),
  de: () => import("./de"),
} satisfies Record<string, () => Promise<{ default: Catalogue }>>;

export const LANGUAGES = Object.keys(LOADERS) as (keyof typeof LOADERS)[];

let catalogue: Catalogue = {};
/** The language of the page (BCP 47). Views that show text read it through `t`, so they follow a change. */
export const language = signal("en");

/** Takes `wanted`, or the browser's, or English. Resolves when texts are there; before that `t` knows none. */
export async function useLanguage(wanted: string | null = localStorage.getItem("language")): Promise<void> {
  const asked = [wanted, ...navigator.languages].filter((one) => one !== null).map((one) => one.split("-")[0] ?? "en");
  const found = LANGUAGES.find((one) => one === asked.find((tag) => Object.hasOwn(LOADERS, tag))) ?? "en";
  catalogue = (await LOADERS[found]()).default;
  language.value = found;
  document.documentElement.lang = found;
}

/** The text of `key`, its places filled; the key itself if there is none (a refusal's code, for instance). */
export function t(key: Key, places: Places = {}): string {
  const now = language.value;
  const [part = "", name = ""] = split(key);
  let text = catalogue[part]?.[name];
  if (text === undefined) return key;
  if (typeof text !== "string") {
    const category = new Intl.PluralRules(now).select(Number(places.count ?? 0));
    text = text[category] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, place: string) => {
    const value = places[place];
    return typeof value === "number" ? number(value) : (value ?? whole);
  });
}

function split(key: string): [string, string] {
  const dot = key.indexOf(".");
  return [key.slice(0, dot), key.slice(dot + 1)];
}

/** 1234 as "1,234". */
export const number = (value: number) => new Intl.NumberFormat(language.value).format(value);
/** 12345 as "12K". */
export const compact = (value: number) => new Intl.NumberFormat(language.value, { notation: "compact" }).format(value);
/** A moment as people say it. */
export const dateTime = (value: string | number | Date) =>
  new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(new Date(value));
/** From a moment to another: the day once, if it is the same. */
export const dateTimeRange = (from: string, to: string) =>
  new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).formatRange(
    new Date(from),
    new Date(to),
  );
/** "a, b and c". */
export const list = (values: string[]) => new Intl.ListFormat(language.value).format(values);

/** "in 5 minutes", "2 days ago": the distance of `value` from `now` in its largest whole unit. */
export function relative(value: string | number | Date, now = Date.now()): string {
  const seconds = (new Date(value).getTime() - now) / 1000;
  const units = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const;
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: "auto" });
  for (const [unit, size] of units)
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  return format.format(Math.trunc(seconds), "second");
}

/** 3725 seconds as "1:02:05". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
