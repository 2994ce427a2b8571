import { useLocation } from "preact-iso";
import { ApiError } from "@/api/client";
import { t } from "@/i18n";
import { explain } from "@/ui/errors";
import { LinkButton } from "@/ui/link-button";
import { Empty, Failed } from "@/ui/states";

/** A refusal and what can be done: sign in, go elsewhere, appeal, or try again. */
export function Refused({
  error,
  page,
  onRetry,
}: {
  error: unknown;
  /** It stands instead of the whole view. */
  page?: boolean;
  onRetry?: () => unknown;
}) {
  const { url } = useLocation();
  if (error instanceof ApiError && error.status === 401) {
    return (
      <Empty title={explain(error)} page={page}>
        <LinkButton kind="primary" href={`/sign-in?next=${encodeURIComponent(url)}`}>
          {t("common.signIn")}
        </LinkButton>
      </Empty>
    );
  }
  if (error instanceof ApiError && error.code === "account.live_banned") {
    return (
      <Empty title={explain(error)} page={page}>
        <LinkButton href="/appeal">{t("home.appealLink")}</LinkButton>
      </Empty>
    );
  }
  // Asking again does not help against what is not there or not allowed.
  if (error instanceof ApiError && [402, 403, 404, 410].includes(error.status)) {
    return (
      <Empty title={explain(error)} page={page}>
        <LinkButton href="/">{t("home.toHome")}</LinkButton>
      </Empty>
    );
  }
  return <Failed error={error} onRetry={onRetry} />;
}
