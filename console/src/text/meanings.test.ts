import { expect, test } from "vitest";
import type { Key, Kind } from "../forms/keys";
import { kindIn, readMeanings } from "./meanings";

function key(name: string, meaning: string, keys: Key[] = []): Key {
  const form = keys.length > 0 ? "keys" : "number";
  const usual = { default: [], lowest: "", highest: "", choices: [], names: "", expected: "" };
  return { name, meaning, form, many: false, required: false, unit: "calls", keys, ...usual };
}

test("a form speaks the language, and what has no translation stays English", () => {
  const kind: Kind = {
    kind: "things",
    meaning: "Things.",
    named: key("name", "Unique."),
    keys: [key("limit", "Most calls.", [key("new", "Not translated yet.")])],
  };
  const said = kindIn(kind, { "Things.": "东西。", "Unique.": "唯一。", "Most calls.": "最多呼叫。", calls: "呼叫" });
  expect([said.meaning, said.named?.meaning, said.keys[0]?.meaning]).toEqual(["东西。", "唯一。", "最多呼叫。"]);
  expect(said.keys[0]?.keys[0]).toMatchObject({ meaning: "Not translated yet.", unit: "呼叫" });
});

test("a language without a file of meanings has them in English", async () => {
  expect(await readMeanings("en")).toEqual({});
  expect(Object.keys(await readMeanings("zh")).length).toBeGreaterThan(400);
});
