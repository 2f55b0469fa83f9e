import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, mergeConfig } from "vitest/config";
import program from "./vite.config.ts";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.test\.tsx?$/.test(name))
  .map((name) => join("src", name));
const replaces = (file: string): boolean => /\bvi\./.test(readFileSync(file, "utf8"));

/** Tests that replace modules or globals have modules of their own; the others share them, for to load them takes longest. */
export default mergeConfig(
  program,
  defineConfig({
    test: {
      pool: "threads",
      testTimeout: 60_000,
      projects: [
        { extends: true, test: { name: "shared", include: files.filter((file) => !replaces(file)), isolate: false } },
        { extends: true, test: { name: "apart", include: files.filter(replaces), isolate: true } },
      ],
    },
  }),
);
