import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { languageParts } from "./languages.ts";

/** Browsers of 2024 and newer; what they can do is left as it is written. */
const BROWSERS = ["chrome123", "firefox120", "safari17.5"];

export default defineConfig({
  plugins: [react(), languageParts()],
  // The server puts a fresh number in the place of this word in each answer (vosd/api/console.py).
  html: { cspNonce: "STYLE_NONCE" },
  build: {
    outDir: "../vosd/api/console_files",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: BROWSERS,
    chunkSizeWarningLimit: 1_000,
    // what the log-in, the first page and all others share is one file: browsers ask for six at a time, and 25 small
    // ones took five turns, and 10 kB more on the wire
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "page", test: /src.(sessiongate|router|parts.page)/ }] } },
    },
  },
  // `npx vite` beside a running API: the session's cookie is of one host and wants no TLS on this machine
  server: { proxy: { "/api": "http://127.0.0.1:8080" }, fs: { allow: [".."] } },
});
