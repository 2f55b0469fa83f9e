import { expect, it } from "vitest";
import { namesIn, namesTo, opened, treeOf } from "./tree";

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

it("puts what is below an open account behind it", () => {
  const rows = [
    { id: "shop", agent: "reseller" },
    { id: "reseller", agent: "chief" },
    { id: "chief" },
    { id: "alone" },
  ];
  const names = (shut: string) =>
    [...opened(treeOf(rows), ({ row }) => row.id !== shut)].map(({ row, depth }) => `${row.id} ${depth}`);
  expect(names("")).toEqual(["chief 0", "reseller 1", "shop 2", "alone 0"]);
  expect(names("reseller")).toEqual(["chief 0", "reseller 1", "alone 0"]);
  expect(names("chief")).toEqual(["chief 0", "alone 0"]);
});

it("lists names in an address, whatever they contain", () => {
  expect(namesIn(namesTo(new Set(["a,b", "50 %"])))).toEqual(new Set(["a,b", "50 %"]));
  expect(namesTo(new Set())).toBeUndefined();
  expect(namesIn(undefined)).toEqual(new Set());
});
