import { expect, it } from "vitest";
import { callsOfAccount, grouped, inOrder, pricedCalls } from "./calls";

it("counts calls by a field, the most first, and has those of each in hand, to choose them at once", () => {
  const rows = [
    { call_id: "1", vendor: "x" },
    { call_id: "2", vendor: "y", answered_at: "t" },
    { call_id: "3", vendor: "y" },
    { call_id: "4", vendor: null },
  ];
  expect(grouped(rows, "vendor")).toEqual([
    { vendor: "y", calls: 2, answered: 1, of: [rows[1], rows[2]] },
    { vendor: "x", calls: 1, answered: 0, of: [rows[0]] },
    { vendor: "", calls: 1, answered: 0, of: [rows[3]] },
  ]);
});

it("prices the answered calls of a group, and no others", () => {
  const call = { vendor: "x", answered_at: "t", price_per_minute: "0.60", currency: "USD" };
  const rows = [call, { ...call, answered_at: null }, { ...call, price_per_minute: null }];
  expect(pricedCalls(rows)).toEqual([{ since: "t", price: "0.60", currency: "USD" }]);
});

it("looks at no price of calls before their group is drawn", () => {
  let looks = 0;
  const call = {
    answered_at: "t",
    get price_per_minute() {
      looks += 1;
      return "0.60";
    },
  };
  const [group] = grouped([call, call], "vendor");
  expect([group?.calls, group?.answered, looks]).toEqual([2, 2, 0]);
});

it("groups calls by the first digits of the called number", () => {
  const rows = [{ callee: "44201" }, { callee: "+44202" }, { callee: "49" }];
  expect(grouped(rows, "destination").map((row) => [row.destination, row.calls])).toEqual([
    ["4420", 2],
    ["49", 1],
  ]);
});

it("leaves the calls of one account, as the customer or the vendor, and of no other that has its name in it", () => {
  const rows = [
    { call_id: "paid", customer_account: "acme", vendor_account: "x" },
    { call_id: "carried", customer_account: "acme2", vendor_account: "acme" },
    { call_id: "of another", customer_account: "acme2", vendor_account: "x" },
    { call_id: "without a vendor", customer_account: "big acme", mapping_gateway: "acme", caller: "acme" },
  ];
  expect(callsOfAccount(rows, "acme").map((row) => row.call_id)).toEqual(["paid", "carried"]);
});

it("puts calls in the order of a field, those without it last in either", () => {
  const rows = [{ vendor: "b" }, { vendor: null }, { vendor: "a" }];
  expect(inOrder(rows, "vendor").map((row) => row.vendor)).toEqual(["a", "b", null]);
  expect(inOrder(rows, "-vendor").map((row) => row.vendor)).toEqual(["b", "a", null]);
  expect(inOrder(rows, undefined)).toBe(rows);
});

it("puts the call first that has run longest, by its answer where it is answered", () => {
  const rows = [
    { call_id: "new", started_at: "2026-01-01T10:00:05Z" },
    { call_id: "long", started_at: "2026-01-01T09:00:00Z", answered_at: "2026-01-01T09:00:01.5Z" },
    { call_id: "answered late", started_at: "2026-01-01T08:00:00Z", answered_at: "2026-01-01T09:59:00Z" },
  ];
  expect(inOrder(rows, "-duration").map((row) => row.call_id)).toEqual(["long", "answered late", "new"]);
});
