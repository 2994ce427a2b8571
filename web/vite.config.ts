import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// The site is one directory of files that the server hands out as they are: names under assets/ hold a hash of the
// content and may be kept for ever, index.html is filled in by the server for shared links.
const server = process.env.SPACES_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  // Apart from assets/: the policy that a worker obeys comes with its file, and so the file is asked for again.
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "workers/[name]-[hash].js" } } },
  build: {
    outDir: "../spaces_ctl/api/site",
    emptyOutDir: true,
    target: "es2022",
    // Our content security policy allows no data: URLs for scripts, fonts and WebAssembly.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      // The service worker's address is its identity: no hash.
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
    license: { fileName: "licences.txt" },
  },
  server: {
    // `npm run dev` beside `spaces serve --dev`.
    proxy: Object.fromEntries(
      ["^/api/", "^/oauth", "^/oembed", "^/s/[^/]+/(card.png|calendar.ics)"].map((path) => [
        path,
        // The server takes changes from pages of its own origin only.
        { target: server, headers: { origin: server } },
      ]),
    ),
  },
  test: {
    environment: "happy-dom",
    setupFiles: "tests/english.ts",
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 60_000,
  },
});
