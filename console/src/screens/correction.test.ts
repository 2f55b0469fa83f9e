import { expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { backOf } from "./correction";

it("takes each charge of a correction back to what it was", () => {
  const change = {
    account: "acme",
    role: "customer",
    level: 0,
    fee_before: "0.06",
    fee_after: "0.05",
    tax_before: "0.006",
    tax_after: "0.006",
    billed_seconds_before: 6,
    billed_seconds_after: 6,
  } as Schemas["CorrectionSheet"];
  expect(backOf([change])).toEqual([{ role: "customer", level: 0, fee: "0.06", tax: "0.006", billed_seconds: 6 }]);
});
