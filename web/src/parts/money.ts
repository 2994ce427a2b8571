// Amounts as the API has them: whole numbers of the currency's smallest unit (ISO 4217).

/** Digits behind the point: 2 for EUR, 0 for JPY. */
export function decimals(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** "4.50" (or "4,50") EUR as 450; null if it is no amount of this currency. */
export function minorUnits(text: string, currency: string): number | null {
  const places = decimals(currency);
  const found = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (!found) return null;
  const [, whole = "", part = ""] = found;
  if (part.length > places) return null;
  return Number(whole + part.padEnd(places, "0"));
}

/** 450 EUR as people write it. */
export function money(minor: number, currency: string, lang?: string): string {
  const amount = minor / 10 ** decimals(currency);
  return new Intl.NumberFormat(lang, { style: "currency", currency }).format(amount);
}
