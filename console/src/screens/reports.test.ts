import { expect, it } from "vitest";
import { callsOf, columnsOf, entriesOf, leadsOn, totalsShown } from "../parts/reporttable";
import { wordsOf } from "./reports";

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
  [{ party: "agent", customer_account: "acme" }, {}],
  [{ customer_account: "acme", calls: 0 }, {}],
  [{ span: "2026-10" }, { callee: "44" }],
])("leads from the row %j of a report of %j nowhere: the search would find other calls", (row, order) => {
  expect(callsOf(row, YEAR, order)).toBeNull();
});

it("leads from a row of failures to the unanswered calls that ended so", () => {
  const busy = { end_reason: "Busy", sip_code: 486, hangup_source: "callee", routing_gateway: "out", calls: 2 };
  const search = { reason: "Busy", sip_code: "486", hangup_source: "callee", answered: "false" };
  expect(callsOf(busy, YEAR, {})).toEqual(expect.objectContaining({ ...search, routing_gateway: "out" }));
  const lost = { ...busy, end_reason: "Lost", sip_code: 0 };
  expect(callsOf(lost, YEAR, {})?.sip_code).toBe("0");
  // without a gateway, the search finds those of all gateways
  const early = { ...busy, routing_gateway: "" };
  const found = (...others: object[]) => callsOf(early, { ...YEAR, rows: [early, ...others] as never }, {});
  expect(found({ ...busy, calls: 0 }, lost, { ...busy, span: "2026-11" })).toEqual(expect.objectContaining(search));
  expect(found(busy)).toBeNull();
});

it("has a column of links only where rows may lead to their calls", () => {
  const named = (...names: string[]) => names.map((name) => ({ name }));
  expect(leadsOn(named("end_reason", "sip_code", "routing_gateway", "calls"))).toBe(true);
  expect(leadsOn(named("account", "kind"))).toBe(true);
  expect(leadsOn(named("party", "customer_account", "calls"))).toBe(false);
  expect(leadsOn(named("end_reason", "calls"))).toBe(false);
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

it("names the bars of balances by account and name, and shows limits as money and moments in the zone", () => {
  const texts = ["account", "name", "currency", "type", "overdraft_limit", "available", "last_payment"];
  const columns = texts.map((name) => ({ name, kind: "text", meaning: "" }));
  const kinds = Object.fromEntries(columnsOf({ columns }).map(({ name, kind }) => [name, kind]));
  expect(kinds).toMatchObject({ overdraft_limit: "money", available: "money", last_payment: "moment" });
  const row = { account: "clinic", name: "City Clinic", currency: "USD", type: "customer", overdraft_limit: "200.00" };
  const words = wordsOf({ columns }, (name) => `the ${name}`);
  expect(words({ ...row, available: "unlimited", last_payment: "2026-11-29T11:06:46.747Z" })).toBe(
    "clinic City Clinic",
  );
  const payments = { columns: ["account", "kind"].map((name) => ({ name, kind: "text", meaning: "" })) };
  expect(wordsOf(payments, (name) => `the ${name}`)({ account: "clinic", kind: "payment" })).toBe("clinic the payment");
});

it("shows no totals that are the rows again, as those of one vendor by currency are", () => {
  const [euro, yen] = [{ income_currency: "EUR" }, { income_currency: "JPY" }];
  expect(totalsShown([euro, yen], [euro, yen])).toEqual([]);
  expect(totalsShown([euro, euro, yen], [euro, yen])).toEqual([euro, yen]);
  expect(totalsShown([], [])).toEqual([]);
});
