import type { FunctionComponent } from "preact";
import { useRef } from "preact/hooks";
import { ErrorBoundary, LocationProvider, Route, Router } from "preact-iso";
import { reachable } from "./api/client";
import { t } from "./i18n";
import { ROUTES } from "./routes";
import { enterView } from "./shell/announce";
import { Shell } from "./shell/shell";
import { Empty } from "./ui/states";
import { Toasts } from "./ui/toast";

/** Addresses of this server that are no views: a link to one of them loads it. */
const VIEWS =
  /^\/(?!(api|i|reference|problems|sandbox-payments|assets)(\/|$)|licences\.txt|s\/[^/]+\/(card\.png|calendar\.ics|clips\/[^/]+\/player))/;

/** The page: the frame around every view, and the view that the address names. */
export function App() {
  const before = useRef(location.pathname);
  const entered = (url: string) => {
    enterView(before.current, url);
    before.current = url;
  };
  return (
    <LocationProvider scope={VIEWS}>
      <Shell offline={!reachable.value}>
        <ErrorBoundary>
          <Router onRouteChange={entered}>
            {ROUTES.map(([path, view]) => (
              <Route key={path} path={path} component={view as FunctionComponent} />
            ))}
            <Route default component={NotFound} />
          </Router>
        </ErrorBoundary>
      </Shell>
      <Toasts />
    </LocationProvider>
  );
}

const NotFound = () => <Empty title={t("common.notFound")} />;
