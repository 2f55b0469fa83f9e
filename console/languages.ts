/** A file of a language in three parts: what the server says is large, and is read with the first such text. */

import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const PART = /^(.*\/text\/[\w-]+\.json)\?(console|switch|server)$/;

/** One part of the texts of a language: `switch` and `server` by English, and all the others. */
export function partOf(text: string, part: string): unknown {
  const { switch: ofSwitch = {}, server = {}, ...console } = JSON.parse(text);
  return { switch: ofSwitch, server, console }[part];
}

/** Let `xx.json?console`, `xx.json?switch` and `xx.json?server` be modules of their own. */
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
