import { expect, test } from "vitest";
import { isolated, languageFor } from "./index";

test("a browser has its own language, that without a region, else English", () => {
  const there = ["en", "fi", "pt", "pt-BR", "zh"];
  const found = ["pt-BR", "pt-PT", "zh-TW", "fil", "de"].map((wanted) => languageFor(wanted, there));
  expect(found).toEqual(["pt-BR", "pt", "zh", "en", "en"]);
});

test("a value is kept apart in a sentence of the other direction", () => {
  const apart = (value: string) => `\u2068${value}\u2069`;
  expect(["-12.50", "acme", "שלום 7"].map((value) => isolated(value, "ltr"))).toEqual([
    "-12.50",
    "acme",
    apart("שלום 7"),
  ]);
  expect(["-12.50", "acme", "שלום 7"].map((value) => isolated(value, "rtl"))).toEqual(
    ["-12.50", "acme", "שלום 7"].map(apart),
  );
});
