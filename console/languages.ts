/** A file of a language in two parts: what the server says is large, and is read with the first such text. */

import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const PART = /^(.*\/text\/[\w-]+\.json)\?(console|server)$/;

/** One part of the texts of a language: `server` by English, and all the others. */
export function partOf(text: string, part: string): unknown {
  const { server = {}, ...console } = JSON.parse(text);
  return part === "server" ? server : console;
}

/** Let `xx.json?console` and `xx.json?server` be modules of their own. */
export const languageParts = (): Plugin => ({
  name: "language-parts",
  enforce: "pre",
  load(id) {
    const [, file, part] = PART.exec(id) ?? [];
    if (!file || !part) return null;
    this.addWatchFile(file);
    return { code: `export default ${JSON.stringify(partOf(readFileSync(file, "utf8"), part))}`, moduleType: "js" };
  },
});
