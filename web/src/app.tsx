import type { FunctionComponent } from "preact";
import { ErrorBoundary, LocationProvider, Route, Router } from "preact-iso";
import { reachable } from "./api/client";
import { t } from "./i18n";
import { ROUTES } from "./routes";
import { Shell } from "./shell/shell";
import { Empty } from "./ui/states";
import { Toasts } from "./ui/toast";

/** The page: the frame around every view, and the view that the address names. */
export function App() {
  return (
    <LocationProvider>
      <Shell offline={!reachable.value}>
        <ErrorBoundary>
          <Router>
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
