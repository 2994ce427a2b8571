import { t } from "@/i18n";

export default function Home() {
  return <h1>{t("common.home")}</h1>;
}
