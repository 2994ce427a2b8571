import { useLocation } from "preact-iso";
import { t } from "@/i18n";
import { LinkButton } from "@/ui/link-button";
import { Empty } from "@/ui/states";

/** For guests where an account is needed; after signing in they are back here. */
export function SignInNeeded({ title }: { title: string }) {
  const { url } = useLocation();
  return (
    <Empty title={title} page>
      <LinkButton kind="primary" href={`/sign-in?next=${encodeURIComponent(url)}`}>
        {t("common.signIn")}
      </LinkButton>
    </Empty>
  );
}
