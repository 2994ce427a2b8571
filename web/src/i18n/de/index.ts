import type { Catalogue } from "..";
import account from "./account.json";
import admin from "./admin.json";
import common from "./common.json";
import errors from "./errors.json";
import home from "./home.json";
import live from "./live.json";
import people from "./people.json";
import replay from "./replay.json";
import room from "./room.json";
import settings from "./settings.json";
import told from "./told.json";

export default {
  account,
  admin,
  common,
  errors,
  home,
  live,
  people,
  replay,
  room,
  settings,
  told,
} satisfies Catalogue;
