// Which address shows what, most exact first. Views load when they are opened. The server answers every one of these
// with the page itself.
import { lazy } from "preact-iso";

export const ROUTES = [
  ["/", lazy(() => import("./views/home/home"))],
  ["/forgot", lazy(() => import("./views/account/forgot"))],
  ["/notifications", lazy(() => import("./views/notifications/notifications"))],
  ["/register", lazy(() => import("./views/account/register"))],
  ["/reset", lazy(() => import("./views/account/reset"))],
  ["/s/:space", lazy(() => import("./views/space/space"))],
  ["/s/:space/clips", lazy(() => import("./views/clips/clips"))],
  ["/s/:space/clips/:clip", lazy(() => import("./views/clips/clip"))],
  ["/s/:space/replay", lazy(() => import("./views/replay/replay"))],
  ["/settings", lazy(() => import("./views/settings/settings"))],
  ["/settings/:part", lazy(() => import("./views/settings/settings"))],
  ["/sign-in", lazy(() => import("./views/account/sign-in"))],
  ["/verify", lazy(() => import("./views/account/verify"))],
] as const;
