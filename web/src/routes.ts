// Which address shows what. Views load when they are opened. The server answers every one of these with the page itself.
import { lazy } from "preact-iso";

export const ROUTES = [["/", lazy(() => import("./views/home/home"))]] as const;
