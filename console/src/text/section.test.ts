import { expect, it } from "vitest";
import page from "../../../docs/operations/alarms.md?raw";
import { blocksOf, piecesOf, sectionOf } from "./section";

it("takes the section of a name, also where several share one", () => {
  expect(sectionOf(page, "cpu_high")).toMatch(/^\*\*warning\*\*\. `process`/);
  expect(sectionOf(page, "journal_reserve_missing")).toBe(sectionOf(page, "journal_write_failed"));
  expect(sectionOf(page, "cpu")).toBe("");
  expect(sectionOf(page, "radius_accounting_unwritten")).not.toContain("#");
});

it("has paragraphs and lists, with the lines of an item joined", () => {
  const section = "**warning**, one\ntwo.\n1. first\n   goes on\n2. second\n\nOver: `a`.";
  const [, steps] = blocksOf(section);
  expect(blocksOf(section).map(({ kind, items }) => [kind, items.length])).toEqual([
    ["p", 1],
    ["ol", 2],
    ["p", 1],
  ]);
  expect(steps?.items[0]).toEqual([{ kind: "text", text: "first goes on" }]);
});

it("keeps HTML as text, and takes links apart", () => {
  expect(piecesOf("<img src=x> [`a`](#a) is *so* `<b>`")).toEqual([
    { kind: "text", text: "<img src=x> " },
    { kind: "link", to: "#a", pieces: [{ kind: "code", text: "a" }] },
    { kind: "text", text: " is " },
    { kind: "em", pieces: [{ kind: "text", text: "so" }] },
    { kind: "text", text: " " },
    { kind: "code", text: "<b>" },
  ]);
});
