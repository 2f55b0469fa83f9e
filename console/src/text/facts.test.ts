import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { saidFacts } from "./facts";

const chinese = JSON.parse(readFileSync(new URL("./zh.json", import.meta.url), "utf8"));
const WORDS: Readonly<Record<string, string>> = { why: "原因", account: "账户", do: "处理办法" };
const word = (name: string) => WORDS[name];
const say = (value: string) => (value === "no funds" ? "资金不足" : value);

test("names of facts have words, and values are said", () => {
  expect(saidFacts("account: account, why: no funds", word, say)).toBe("账户: account, 原因: 资金不足");
});

test("a value keeps its commas, and colons behind what is no fact", () => {
  expect(saidFacts("why: read, port: 5060, do: wait", word, say)).toBe("原因: read, port: 5060, 处理办法: wait");
});

test("a text without facts is one value", () => {
  expect(saidFacts("no funds", word, say)).toBe("资金不足");
  expect(saidFacts("", word, say)).toBe("");
});

test("what was measured and its limit have the unit beside them, and a lower limit is not called an upper one", () => {
  const words = chinese.fact as Readonly<Record<string, string>>;
  const said = saidFacts("attempts: 5, unit: %, value: 0.0, limit: 40", (name) => words[name], say);
  expect(said).toBe("尝试次数: 5, 数值: 0.0 %, 限值: 40 %");
  expect(saidFacts("value: 12.5, limit: 10", (name) => words[name], say)).toBe("数值: 12.5, 限值: 10");
});

test("the number of unreadable records is no telephone number in Chinese", () => {
  expect(chinese.fact.number).toBe("数量");
});
