import { fileURLToPath } from "node:url";
import { mergeConfig } from "vite";
import site from "../../vite.config";

// The same build as the site's, of the harness alone; `--outDir` says where to.
export default mergeConfig(site, {
  root: fileURLToPath(new URL(".", import.meta.url)),
  publicDir: false,
  base: "./",
});
