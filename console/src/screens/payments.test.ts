import { expect, it } from "vitest";
import { sumsOf } from "./payments";

it("adds up the payments of a file by currency, and counts those whose account is not configured", () => {
  const payments = [
    { amount: "1.50", currency: "USD" },
    { amount: "7", currency: null },
    { amount: "2", currency: "EUR" },
    { amount: "0.25", currency: "USD" },
  ];
  expect(sumsOf(payments)).toEqual([["1.75 USD", "2.00 EUR"], 1]);
  expect(sumsOf(payments.slice(1, 2))).toEqual([[], 1]);
  expect(sumsOf([])).toEqual([[], 0]);
});
