import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { partOf } from "../../languages";
import type { Key, Kind } from "../forms/keys";
import { languages } from "./index";
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

test("a file is a language, with what the console says and what the server says", async () => {
  const server = { "Things.": "Dinge." };
  const file = JSON.stringify({ language: "Deutsch", value: { up: "bereit" }, switch: { down: "aus" }, server });
  expect(partOf(file, "console")).toEqual({ language: "Deutsch", value: { up: "bereit" } });
  expect(partOf(file, "switch")).toEqual({ down: "aus" });
  expect(partOf(file, "server")).toEqual(server);
  expect(partOf(JSON.stringify({ language: "English" }), "server")).toEqual({});
  const files = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".json"));
  expect(languages.map((language) => `${language}.json`)).toEqual(files.sort());
});

test("a language has the texts of the server from its file, and English where there are none", async () => {
  expect(await readMeanings("en")).toEqual({});
  expect(await readMeanings("xx")).toEqual({});
  const chinese = await readMeanings("zh");
  expect(Object.keys(chinese).length).toBeGreaterThan(2_500);
  expect(chinese.gateway_down).toBeDefined();
});
