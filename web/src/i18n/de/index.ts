import type { Catalogue } from "..";
import common from "./common.json";

export default { common } satisfies Catalogue;
