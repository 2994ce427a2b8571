import type { Catalogue } from "..";
import account from "./account.json";
import common from "./common.json";
import errors from "./errors.json";
import live from "./live.json";
import people from "./people.json";
import replay from "./replay.json";
import settings from "./settings.json";
import told from "./told.json";

export default { account, common, errors, live, people, replay, settings, told } satisfies Catalogue;
