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
/** Forms of a text for a count, as that for one thing, besides the one that it has without a suffix. */
const FORMS = ["zero", "one", "two", "few", "many"] as const;
const formOf = (key: string) =>
  FORMS.find((form) => key.endsWith(`_${form}`) && english.has(key.slice(0, -form.length - 1)));
const counted = [...english.keys()].filter((key) => formOf(key) === "one").map((key) => key.slice(0, -"_one".length));
/** Keys that the file of a language has: each text, and of what is counted the forms that it has for counts. */
const keysIn = (language: string): string[] => {
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.filter((form) => form !== "other");
  const plain = [...english.keys()].filter((key) => formOf(key) === undefined);
  return [...plain, ...counted.flatMap((key) => forms.map((form) => `${key}_${form}`))].sort();
};

it("wants the forms of a language for its counts", () => {
  expect(keysIn("en")).toEqual([...english.keys()].sort());
  const inPolish = keysIn("pl");
  const key = counted[0] ?? "";
  expect(inPolish).toEqual(expect.arrayContaining([`${key}_few`, `${key}_many`, `${key}_one`]));
  expect(keysIn("zh")).not.toContain(`${key}_one`);
});

it.each(LANGUAGES)("%s has each text once, with the same fields", (name) => {
  const found = texts(name);
  expect([...found.keys()].sort()).toEqual(keysIn(name.slice(0, -".json".length)));
  for (const [key, text] of found) {
    expect(text.trim(), key).not.toBe("");
    const form = formOf(key);
    const whole = form && !english.has(key) ? key.slice(0, -form.length - 1) : key;
    expect(fields(text), key).toEqual(fields(english.get(whole) ?? ""));
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
