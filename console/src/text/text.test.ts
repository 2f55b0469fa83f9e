import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const HERE = new URL(".", import.meta.url).pathname;
const SOURCE = join(HERE, "..");
const LANGUAGES = readdirSync(HERE).filter((name) => name.endsWith(".json"));

function leaves(of: unknown, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(of as Record<string, unknown>)) {
    const inner = path ? `${path}.${name}` : name;
    if (typeof value === "string") found.set(inner, value);
    else for (const [key, text] of leaves(value, inner)) found.set(key, text);
  }
  return found;
}

/** The texts of the console itself; those of the server have tests of their own. */
const texts = (name: string) => {
  const { switch: _, server: __, ...console } = JSON.parse(readFileSync(join(HERE, name), "utf8"));
  return leaves(console);
};
const fields = (text: string) => (text.match(/\{\{\w+\}\}/g) ?? []).sort();
const english = texts("en.json");
/** Another form of a text for one thing, which languages without a plural lack. */
const isOfOne = (key: string) => key.endsWith("_one") && english.has(key.slice(0, -"_one".length));

it.each(LANGUAGES)("%s has each text once, with the same fields", (name) => {
  const found = texts(name);
  const hasPlural = new Intl.PluralRules(name.slice(0, -".json".length)).resolvedOptions().pluralCategories.length > 1;
  expect([...found.keys()].sort()).toEqual([...english.keys()].filter((key) => hasPlural || !isOfOne(key)).sort());
  for (const [key, text] of found) {
    expect(text.trim(), key).not.toBe("");
    expect(fields(text), key).toEqual(fields(english.get(key) ?? ""));
  }
});

it("has each text that a screen asks for", () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  const asked = files.flatMap((name) =>
    [...readFileSync(join(SOURCE, name), "utf8").matchAll(/\bt\("([\w.]+)"/g)].map((match) => match[1] ?? ""),
  );
  expect(asked.length).toBeGreaterThan(50);
  expect([...new Set(asked)].filter((key) => !english.has(key))).toEqual([]);
});
