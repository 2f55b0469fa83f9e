import { expect, test } from "vitest";
import { saidFacts } from "./facts";

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
