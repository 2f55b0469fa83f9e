import { expect, it } from "vitest";
import type { Schemas } from "../api/client";
import { areLatest, backOf, enteredOf, wantedOf } from "./correction";

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

it("keeps what is entered as it is typed, and sends the charges that differ", () => {
  const seen = [
    { role: "customer", level: 0, fee: "0.06", tax: "0.006", billed_seconds: 6 },
    { role: "vendor", level: 0, fee: "0.02", tax: "0", billed_seconds: 6 },
  ];
  const entered = enteredOf(seen);
  expect(wantedOf(entered, seen)).toEqual([]);
  const [customer, vendor] = entered as [(typeof entered)[0], (typeof entered)[0]];
  expect(wantedOf([customer, { ...vendor, billed_seconds: "12" }], seen)).toEqual([
    { role: "vendor", level: 0, fee: "0.02", tax: "0", billed_seconds: 12 },
  ]);
});

it("takes a repeated correction back unless a colleague has corrected the same charge since", () => {
  const mine = { account: "acme", role: "customer", corrected_at: "2026-03-01T12:00:00Z" };
  const later = { ...mine, corrected_at: "2026-03-01T12:00:01Z" };
  const changes = [mine as Schemas["CorrectionSheet"]];
  expect(areLatest(changes, [mine, { ...later, account: "agent" }, { ...later, role: "vendor" }])).toBe(true);
  expect(areLatest(changes, [later, mine])).toBe(false);
});
