import { expect, it } from "vitest";
import { callsOf, entriesOf } from "./reports";

const YEAR = { since: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z" };
// hours of Lord Howe around 02:00, when the clock is put forward by half an hour
const HALVES = [
  { span: "2026-10-04T01:00+1030", since: "2026-10-03T14:30:00.000Z", until: "2026-10-03T15:00:00.000Z" },
  { span: "2026-10-04T01:30+1030", since: "2026-10-03T15:00:00.000Z", until: "2026-10-03T16:00:00.000Z" },
];

it("leads from a span of a report to its calls alone", () => {
  const timeOf = (row: { span?: string }) => {
    const found = callsOf(row, { ...YEAR, spans: HALVES }, {});
    return [found?.since, found?.until];
  };
  for (const { span, since, until } of HALVES) expect(timeOf({ span })).toEqual([since, until]);
  expect(timeOf({})).toEqual([YEAR.since, YEAR.until]);
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
  const [since, until] = ["2026-10-14T00:00:00.000Z", "2026-10-15T00:00:00.000Z"];
  const report = { ...YEAR, spans: [{ span: "2026-10-14", since, until }] };
  const row = { account: "acme", span: "2026-10-14" };
  expect(entriesOf({ ...row, kind: "payment" }, report)).toEqual({ account: "acme", since, until });
  expect(entriesOf({ ...row, balance: "7.50" }, report)).toEqual({ account: "acme", until });
});
