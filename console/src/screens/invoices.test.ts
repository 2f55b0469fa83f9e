import { expect, it } from "vitest";
import { shownLine } from "./invoices";

it("shows the month of a minimum, and no calls of what is none", () => {
  expect(shownLine({ section: "minimum", prefix: "minimum/2026-10", calls: 1, seconds: 0, net: "5" })).toEqual({
    section: "minimum",
    prefix: "2026-10",
    calls: null,
    seconds: null,
    net: "5",
  });
  expect(shownLine({ section: "corrections", prefix: "44", calls: 2, seconds: 0 })).toMatchObject({ calls: null });
  const calls = { section: "calls", prefix: "44", calls: 2, seconds: 61 };
  expect(shownLine(calls)).toEqual(calls);
});
