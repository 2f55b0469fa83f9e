import { expect, it } from "vitest";
import texts from "../text/en.json";
import { SEEN_BY } from "./rights";

/** Rights that open pages of their own. */
const ALONE = new Set(["calls.trace", "jobs"]);

const names = (under: object, before = ""): string[] =>
  Object.entries(under).flatMap(([name, inner]) =>
    typeof inner === "string" ? [before + name] : names(inner, `${before}${name}.`),
  );

it("names the right to see beside each right that opens no page of its own", () => {
  const known = names(texts.permission);
  const acting = known.filter((name) => !name.endsWith(".see") && !ALONE.has(name));
  expect(acting.filter((name) => !SEEN_BY[name])).toEqual([]);
  expect(
    Object.entries(SEEN_BY)
      .flat(2)
      .filter((name) => !known.includes(name)),
  ).toEqual([]);
});
