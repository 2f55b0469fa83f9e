import { expect, it } from "vitest";
import { callsOf, entriesOf } from "./reports";

const YEAR = { since: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z" };
const spanOf = (span: string, group: string, zone: string, since = YEAR.since) => {
  const found = callsOf({ span }, { ...YEAR, since, group, zone }, {});
  return [found?.since, found?.until].map((each) => each && new Date(each).toISOString().slice(0, 16));
};

it("leads from a span of a report to its calls alone", () => {
  // the report begins on a Wednesday: its first week ends with the Sunday behind it
  const wednesday = "2026-10-14T00:00:00Z";
  expect(spanOf("2026-10-14", "week", "UTC", wednesday)).toEqual(["2026-10-14T00:00", "2026-10-19T00:00"]);
  expect(spanOf("2026-10-19", "week", "UTC", wednesday)).toEqual(["2026-10-19T00:00", "2026-10-26T00:00"]);
  // clocks half an hour beside UTC, a first hour that is cut, and the hour that comes twice
  expect(spanOf("2026-10-14T10:00+0530", "hour", "Asia/Kolkata")).toEqual(["2026-10-14T04:30", "2026-10-14T05:30"]);
  expect(spanOf("2026-10-14T10:15+0000", "hour", "UTC")).toEqual(["2026-10-14T10:15", "2026-10-14T11:00"]);
  expect(spanOf("2026-10-25T02:00+0100", "hour", "Europe/Berlin")).toEqual(["2026-10-25T01:00", "2026-10-25T02:00"]);
  expect(spanOf("2026-10-25", "day", "Europe/Berlin")).toEqual(["2026-10-24T22:00", "2026-10-25T23:00"]);
  expect(spanOf("2026-10", "month", "Europe/Berlin")).toEqual(["2026-09-30T22:00", "2026-10-31T23:00"]);
});

it.each([
  [{ customer_account: "acme" }, { reason: "Busy" }, { customer: "acme", reason: "Busy" }],
  [
    { customer_account: "acme" },
    { account: "acme", answered: "true" },
    { account: "acme", customer: "acme", answered: "true" },
  ],
  [{ mapping_gateway: "pbx", customer_account: "acme" }, {}, { customer: "acme", mapping_gateway: "pbx" }],
  [{ end_reason: "Busy" }, { vendor: "carrier" }, { vendor: "carrier", reason: "Busy" }],
  [{ customer_account: "acme", vendor_account: "carrier" }, {}, { customer: "acme", vendor: "carrier" }],
  [{ mapping_gateway: "pbx", routing_gateway: "out" }, {}, { mapping_gateway: "pbx", routing_gateway: "out" }],
  [{ routing_gateway: "out" }, { gateway: "pbx" }, { routing_gateway: "out", gateway: "pbx" }],
  [{ customer_account: "acme" }, { area: "Germany" }, { customer: "acme", area: "Germany" }],
  [{ area: "Germany", rate_type: "" }, {}, { area: "Germany", rate_type: "none" }],
  [{ area: "49", rate_type: "local" }, {}, { area: "49", rate_type: "local" }],
])("leads from the row %j of a report of %j to the search %j", (row, order, search) => {
  expect(callsOf(row, YEAR, order)).toEqual(expect.objectContaining(search));
});

it.each([
  [{ routing_gateway: "" }, {}],
  [{ area: "", rate_type: "" }, {}],
  [{ end_reason: "Busy", sip_code: 486 }, {}],
  [{ span: "2026-10" }, { callee: "44" }],
])("leads from the row %j of a report of %j nowhere: the search would find other calls", (row, order) => {
  expect(callsOf(row, YEAR, order)).toBeNull();
});

it("leads from rows that differ by currency alone to the calls of each, or nowhere", () => {
  const row = { customer_account: "acme", currency: "USD", vendor_currency: "EUR" };
  const search = { customer: "acme", currency: "USD,none", vendor_currency: "EUR" };
  expect(callsOf(row, YEAR, {}, { currency: "USD,none", vendor_currency: "EUR" })).toEqual(
    expect.objectContaining(search),
  );
  expect(callsOf(row, YEAR, {}, { currency: null, vendor_currency: null })?.currency).toBeUndefined();
  expect(callsOf(row, YEAR, {}, null)).toBeNull();
});

it("leads from a payment to those of its time, and from a balance to all entries that make it", () => {
  const report = { ...YEAR, group: "day", zone: "UTC" };
  const row = { account: "acme", span: "2026-10-14" };
  const until = "2026-10-15T00:00:00.000Z";
  expect(entriesOf({ ...row, kind: "payment" }, report)).toEqual({
    account: "acme",
    since: "2026-10-14T00:00:00.000Z",
    until,
  });
  expect(entriesOf({ ...row, balance: "7.50" }, report)).toEqual({ account: "acme", until });
});
