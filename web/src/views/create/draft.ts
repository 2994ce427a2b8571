// What somebody fills in for a Space, what is wrong with it, and what is asked of the server for it. No part of the page.
import { ApiError, type Schema } from "@/api/client";
import { t } from "@/i18n";
import { decimals, minorUnits } from "@/parts/money";
import type { Limits } from "@/state/limits";
import { explain } from "@/ui/errors";

export interface Draft {
  title: string;
  description: string;
  topics: string[];
  lang: string;
  speak: Schema<"Speak">;
  requestsOpen: boolean;
  record: boolean;
  clips: boolean;
  captions: boolean;
  /** Id; empty: none. */
  community: string;
  ticketed: boolean;
  /** As typed, in the currency's main unit. */
  price: string;
  currency: string;
  quantity: string;
  scheduled: boolean;
  /** As `<input type="datetime-local">` has it: local time. */
  at: string;
}

export type Part = keyof Draft;
export type Troubles = Partial<Record<Part, string>>;
type Rules = Pick<Limits, "max_title" | "max_description" | "max_topics" | "horizon_days">;

const DAY_MS = 86_400_000;

export const emptyDraft = (lang: string): Draft => ({
  title: "",
  description: "",
  topics: [],
  lang,
  speak: "invited",
  requestsOpen: true,
  record: false,
  clips: true,
  captions: true,
  community: "",
  ticketed: false,
  price: "",
  currency: "EUR",
  quantity: "",
  scheduled: false,
  at: "",
});

/** A moment as `<input type="datetime-local">` wants it, in local time. */
export function localInput(at: number | Date): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** People count characters as the server does: by code points. */
export const length = (text: string) => [...text].length;

/** What is wrong, by part, in words. `wasAt`: the start that is set already, which may stay. */
export function troubles(draft: Draft, rules: Rules, now: number, wasAt: string | null = null): Troubles {
  const found: Troubles = {};
  if (length(draft.title) > rules.max_title) found.title = t("home.tooLong", { most: rules.max_title });
  if (length(draft.description) > rules.max_description)
    found.description = t("home.tooLong", { most: rules.max_description });
  if (draft.topics.length > rules.max_topics) found.topics = t("home.tooManyTopics", { most: rules.max_topics });
  if (draft.scheduled && draft.at !== wasAt) {
    const at = new Date(draft.at).getTime();
    if (Number.isNaN(at)) found.at = t("home.whenMissing");
    else if (at <= now) found.at = t("home.whenPast");
    else if (at - now > rules.horizon_days * DAY_MS) found.at = t("home.whenTooFar", { days: rules.horizon_days });
  }
  if (draft.ticketed) {
    const price = minorUnits(draft.price, draft.currency);
    if (price === null || price < 1 || price > 100_000_000) found.price = t("home.priceWrong");
    const quantity = /^\d{1,8}$/.test(draft.quantity.trim()) ? Number(draft.quantity) : 0;
    if (quantity < 1 || quantity > 10_000_000) found.quantity = t("home.quantityWrong");
  }
  return found;
}

/** The body of `POST /spaces`. For a draft without troubles. */
export function creation(draft: Draft): Schema<"CreateBody"> {
  return {
    title: draft.title.trim(),
    description: draft.description.trim(),
    topics: draft.topics,
    lang: draft.lang,
    record: draft.record,
    speak: draft.speak,
    requests_open: draft.requestsOpen,
    clips: draft.clips,
    captions: draft.captions,
    community: draft.community || null,
    scheduled_start: draft.scheduled ? new Date(draft.at).toISOString() : null,
    ticketing: draft.ticketed
      ? {
          price_minor: minorUnits(draft.price, draft.currency) ?? 0,
          currency: draft.currency,
          quantity: Number(draft.quantity),
        }
      : null,
  };
}

/** What is filled in for a Space that is there. */
export function draftOf(space: Schema<"SpaceView">): Draft {
  const sold = space.ticketing;
  return {
    title: space.title,
    description: space.description,
    topics: [...space.topics],
    lang: space.lang,
    speak: space.speak as Schema<"Speak">,
    requestsOpen: space.requests_open,
    record: space.record,
    clips: space.clips,
    captions: space.captions,
    community: space.community ?? "",
    ticketed: sold !== null,
    price: sold ? (sold.price_minor / 10 ** decimals(sold.currency)).toFixed(decimals(sold.currency)) : "",
    currency: sold?.currency ?? "EUR",
    quantity: sold ? String(sold.quantity) : "",
    scheduled: space.status === "scheduled",
    at: space.scheduled_start ? localInput(new Date(space.scheduled_start)) : "",
  };
}

/** The body of `PATCH /spaces/{space}`, with what differs; null if nothing does. */
export function edition(draft: Draft, was: Draft): Schema<"EditBody"> | null {
  const body: Partial<Schema<"EditBody">> = {};
  if (draft.title.trim() !== was.title) body.title = draft.title.trim();
  if (draft.description.trim() !== was.description) body.description = draft.description.trim();
  if (draft.topics.join() !== was.topics.join()) body.topics = draft.topics;
  if (draft.scheduled && draft.at !== was.at) body.scheduled_start = new Date(draft.at).toISOString();
  if (Object.keys(body).length === 0) return null;
  return { title: null, description: null, topics: null, scheduled_start: null, ...body };
}

const OF_CODES: Record<string, Part> = {
  "topics.too_many": "topics",
  "schedule.out_of_range": "at",
  "schedule.quota": "at",
  "schedule.not_scheduled": "at",
  "community.role_required": "community",
  "community.not_found": "community",
  "record.frozen": "record",
};
const OF_POINTERS: Record<string, Part> = {
  requests_open: "requestsOpen",
  scheduled_start: "at",
  ticketing: "price",
};

/** Where a refusal belongs: beside a part, or (`rest`) above all. */
export function placed(error: unknown, draft: Draft): { beside: Troubles; rest: string | null } {
  const beside: Troubles = {};
  if (error instanceof ApiError) {
    for (const { pointer, detail } of error.fields) {
      const [, first = "", second = ""] = pointer.split("/");
      const part = OF_POINTERS[first] ?? first;
      const exact = first === "ticketing" && second === "quantity" ? "quantity" : part;
      if (exact in draft) beside[exact as Part] = detail;
    }
    const part = OF_CODES[error.code];
    if (part) beside[part] = explain(error);
  }
  return { beside, rest: Object.keys(beside).length > 0 ? null : explain(error) };
}
