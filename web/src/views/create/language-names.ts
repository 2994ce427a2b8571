import { language, t } from "@/i18n";

const OFFERED = "ar bn cs da de el en es fa fi fr he hi hu id it ja ko ms nl no pl pt ro ru sv sw ta th tr uk ur vi zh";

/** Languages that a Space may be in, by their names in the page's language; `also` is among them. */
export function languageNames(also: string): [string, string][] {
  const names = new Intl.DisplayNames(language.value, { type: "language" });
  const codes = new Set([...OFFERED.split(" "), ...(also ? [also] : [])]);
  const named = [...codes].map((code): [string, string] => [code, names.of(code) ?? code]);
  named.sort((a, b) => a[1].localeCompare(b[1], language.value));
  return [["", t("home.noLanguage")], ...named];
}
