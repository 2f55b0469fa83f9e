import { expect, it } from "vitest";
import { namesIn, namesTo, treeOf } from "./tree";

it("puts accounts below their agents, and counts all of them", () => {
  const rows = [
    { id: "shop", agent: "reseller" },
    { id: "reseller", agent: "chief" },
    { id: "chief", agent: "" },
    { id: "alone", agent: "not seen" },
  ];
  const [chief, alone] = treeOf(rows);
  expect(chief?.row.id).toBe("chief");
  expect(chief?.count).toBe(2);
  expect(chief?.below[0]?.below[0]?.row.id).toBe("shop");
  expect([alone?.row.id, alone?.count]).toEqual(["alone", 0]);
});

it("lists names in an address, whatever they contain", () => {
  expect(namesIn(namesTo(new Set(["a,b", "50 %"])))).toEqual(new Set(["a,b", "50 %"]));
  expect(namesTo(new Set())).toBeUndefined();
  expect(namesIn(undefined)).toEqual(new Set());
});
