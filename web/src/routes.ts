// Which address shows what. Views load when they are opened. The server answers every one of these with the page itself.
import { lazy } from "preact-iso";

export const ROUTES = [
  ["/", lazy(() => import("./views/home/home"))],
  ["/appeal", lazy(() => import("./views/moderation/appeal"))],
  ["/communities", lazy(() => import("./views/communities/communities"))],
  ["/communities/:community", lazy(() => import("./views/communities/community"))],
  ["/create", lazy(() => import("./views/create/create"))],
  ["/moderation", lazy(() => import("./views/moderation/moderation"))],
  ["/moderation/:part", lazy(() => import("./views/moderation/moderation"))],
  ["/moderation/cases/:id", lazy(() => import("./views/moderation/case"))],
  ["/orders", lazy(() => import("./views/tickets/orders"))],
  ["/orders/:order", lazy(() => import("./views/tickets/order"))],
  ["/posts/:post", lazy(() => import("./views/posts/post"))],
  ["/s/:space", lazy(() => import("./views/space/space"))],
  ["/s/:space/analytics", lazy(() => import("./views/analytics/analytics"))],
  ["/s/:space/clips", lazy(() => import("./views/clips/clips"))],
  ["/s/:space/clips/:clip", lazy(() => import("./views/clips/clip"))],
  ["/s/:space/edit", lazy(() => import("./views/create/edit"))],
  ["/s/:space/replay", lazy(() => import("./views/replay/replay"))],
  ["/s/:space/tickets", lazy(() => import("./views/tickets/tickets"))],
  ["/search", lazy(() => import("./views/search/search"))],
  ["/topics/:topic", lazy(() => import("./views/topic/topic"))],
  // A pattern is whole segments: the view looks for the leading @ itself. Last, since it takes every single segment.
  ["/:handle", lazy(() => import("./views/profile/profile"))],
] as const;
