import { expect, it } from "vitest";
import { shownLine } from "./invoices";

it("shows the month of a minimum, and no calls of what is none", () => {
  const minimum = { section: "minimum", prefix: "minimum/2026-10", per: null, calls: 1, seconds: 0, net: "5" };
  expect(shownLine(minimum)).toEqual({
    section: "minimum",
    prefix: "2026-10",
    price_per: null,
    calls: null,
    seconds: null,
    net: "5",
  });
  expect(shownLine({ section: "corrections", prefix: "44", calls: 2, seconds: 0 })).toMatchObject({ calls: null });
});

it("says of what a price is: one of a cycle is none of the seconds beside it", () => {
  const calls = { section: "calls", prefix: "44", price: "0.0001", calls: 2, seconds: 61 };
  expect(shownLine({ ...calls, per: "cycle" })).toEqual({ ...calls, price_per: "cycle" });
});
