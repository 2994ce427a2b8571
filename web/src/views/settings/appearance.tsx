import { useLanguage as chooseLanguage, LANGUAGES, language, t } from "@/i18n";
import { install, installable } from "@/pwa/install";
import { applyTheme, theme } from "@/state/theme";
import { Button } from "@/ui/button";
import { Select } from "@/ui/field";
import { Section } from "./section";

/** Colours, language, and the page as an app. Kept in this browser. */
export default function AppearanceSettings() {
  return (
    <>
      <Section title={t("settings.appearance")}>
        <Select
          label={t("settings.theme")}
          value={theme.value}
          options={(["system", "light", "dark"] as const).map((one) => [one, t(`common.theme_${one}`)] as const)}
          onChange={applyTheme}
        />
        <Select
          label={t("settings.language")}
          value={language.value}
          options={LANGUAGES.map((one) => [one, nameOf(one)] as const)}
          onChange={(chosen) => {
            localStorage.setItem("language", chosen);
            void chooseLanguage(chosen);
          }}
        />
      </Section>
      {installable.value && (
        <Section title={t("common.install")} lead={t("settings.installLead")}>
          <div class="row">
            <Button onClick={install}>{t("common.install")}</Button>
          </div>
        </Section>
      )}
    </>
  );
}

/** A language in its own words. */
const nameOf = (code: string) => new Intl.DisplayNames(code, { type: "language" }).of(code) ?? code;
