import "./styles/tokens.css";
import "./styles/base.css";
import { render } from "preact";
import { App } from "./app";
import { useLanguage } from "./i18n";
import { refreshSession } from "./state/session";
import { applyTheme } from "./state/theme";

applyTheme();
await useLanguage();
// A server that is away for a moment shows as such; the views ask for themselves.
refreshSession().catch(() => {});
const place = document.getElementById("app");
if (place) render(<App />, place);
