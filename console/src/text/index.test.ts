import { expect, test } from "vitest";
import { languageFor } from "./index";

test("a browser has its own language, that without a region, else English", () => {
  const there = ["en", "fi", "pt", "pt-BR", "zh"];
  const found = ["pt-BR", "pt-PT", "zh-TW", "fil", "de"].map((wanted) => languageFor(wanted, there));
  expect(found).toEqual(["pt-BR", "pt", "zh", "en", "en"]);
});
