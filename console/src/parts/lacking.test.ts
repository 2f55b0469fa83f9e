import { expect, it } from "vitest";
import { withMoney } from "./lacking";

const COLUMNS = [
  { name: "routing_gateway", kind: "gateway" },
  { name: "asr", kind: "percent" },
  { name: "cost", kind: "money" },
  { name: "margin", kind: "money" },
] as const;

const names = (rows: Record<string, unknown>[]) => withMoney(COLUMNS, rows).map(({ name }) => name);

it("leaves out columns of money that no row has, and no others", () => {
  expect(names([{ routing_gateway: "a" }])).toEqual(["routing_gateway", "asr"]);
  expect(names([{ routing_gateway: "a", cost: "0.10" }])).toEqual(["routing_gateway", "asr", "cost"]);
});

it("keeps a column of a gateway that has no price, and those of an empty table", () => {
  expect(names([{ routing_gateway: "a", cost: null, margin: null }])).toHaveLength(4);
  expect(names([])).toHaveLength(4);
});
