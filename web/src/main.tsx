import "./styles/tokens.css";
import "./styles/base.css";
import { render } from "preact";
import { App } from "./app";
import { useLanguage } from "./i18n";
import { awaitOffer } from "./pwa/install";
import { registerWorker } from "./pwa/worker";
import { refreshSession } from "./state/session";
import { applyTheme } from "./state/theme";
import { watchUnread } from "./state/unread";

applyTheme();
awaitOffer();
// A part of the page that is not there any more: the server has a newer version, which a reload brings. Once, lest it
// go round and round.
addEventListener("vite:preloadError", (event) => {
  if (sessionStorage.getItem("reloaded")) return;
  sessionStorage.setItem("reloaded", "1");
  event.preventDefault();
  location.reload();
});
// A server that is away for a moment shows as such; the views ask for themselves.
refreshSession().catch(() => {});
await useLanguage();
watchUnread();
const place = document.getElementById("app");
if (place) render(<App />, place);
registerWorker((path) => {
  // As a link would: the router listens to clicks.
  const link = Object.assign(document.createElement("a"), { href: path });
  document.body.append(link);
  link.click();
  link.remove();
});
