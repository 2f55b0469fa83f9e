import { expect, it } from "vitest";
import { grouped } from "./calls";

it("counts calls by a field, the most first", () => {
  const rows = [{ vendor: "x" }, { vendor: "y", answered_at: "t" }, { vendor: "y" }, { vendor: null }];
  expect(grouped(rows, "vendor")).toEqual([
    { vendor: "y", calls: 2, answered: 1 },
    { vendor: "x", calls: 1, answered: 0 },
    { vendor: "", calls: 1, answered: 0 },
  ]);
});

it("groups calls by the first digits of the called number", () => {
  const rows = [{ callee: "44201" }, { callee: "+44202" }, { callee: "49" }];
  expect(grouped(rows, "destination").map((row) => [row.destination, row.calls])).toEqual([
    ["4420", 2],
    ["49", 1],
  ]);
});
