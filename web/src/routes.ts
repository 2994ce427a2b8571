// Which address shows what, most exact first. Views load when they are opened. The server answers every one of these
// with the page itself.
import { lazy } from "preact-iso";

export const ROUTES = [
  ["/", lazy(() => import("./views/home/home"))],
  ["/s/:space/clips", lazy(() => import("./views/clips/clips"))],
  ["/s/:space/clips/:clip", lazy(() => import("./views/clips/clip"))],
  ["/s/:space/replay", lazy(() => import("./views/replay/replay"))],
] as const;
