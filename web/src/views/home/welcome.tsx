import { t } from "@/i18n";
import { LinkButton } from "@/ui/link-button";
import styles from "./home.module.css";

/** For guests: what this is, and the way in. */
export function Welcome() {
  return (
    <section class={styles.welcome} aria-labelledby="welcome">
      <h2 id="welcome">{t("home.welcome")}</h2>
      <p>{t("home.welcomeText")}</p>
      <p class={styles.welcomeActions}>
        <LinkButton kind="primary" href="/sign-in">
          {t("common.signIn")}
        </LinkButton>
        <LinkButton href="/register">{t("home.register")}</LinkButton>
      </p>
    </section>
  );
}
