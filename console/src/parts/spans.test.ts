import { expect, it } from "vitest";
import { barsOf, currencyOf, linesOf, moneyOf, spanWords } from "./spans";

const TEN = "2026-11-25T10:00+0000";
const ELEVEN = "2026-11-25T11:00+0000";
const ROWS = [
  { span: ELEVEN, calls: 2, asr: "57.0", income: "0.2", income_currency: "EUR", cost: "7", vendor_currency: "USD" },
  { span: TEN, calls: 36_000, asr: "61.5", income: "10.10", income_currency: "EUR", cost: "5", vendor_currency: "USD" },
  { span: TEN, calls: 18_000, asr: null, income: "2000.20", income_currency: "CNY", cost: "6", vendor_currency: "USD" },
  { span: ELEVEN, calls: 1, asr: null, income: "0.1", income_currency: "EUR", cost: null, vendor_currency: "USD" },
];

it("adds up counts of a span, and money in each currency to the digit", () => {
  expect(linesOf(ROWS, { name: "calls", kind: "count" })).toEqual([
    {
      currency: "",
      points: [
        [TEN, 54_000],
        [ELEVEN, 3],
      ],
    },
  ]);
  expect(linesOf(ROWS, { name: "income", kind: "money" })).toEqual([
    {
      currency: "EUR",
      points: [
        [TEN, 10.1],
        [ELEVEN, 0.3],
      ],
    },
    { currency: "CNY", points: [[TEN, 2000.2]] },
  ]);
  expect(linesOf(ROWS, { name: "cost", kind: "money" })?.map((line) => line.currency)).toEqual(["USD"]);
});

it("has the spans of a report without rows that have begun, in which sums are nothing and shares are not known", () => {
  const hours = ["08", "09", "10", "11"].map((hour) => `2026-11-25T${hour}:00+0000`);
  const hour = (span: string) => ({ span, since: span, until: "" }); // the end is not asked for
  const later = { span: "2126-11-25T10:00+0000", since: "2126-11-25T10:00:00.000Z", until: "" };
  const spans = { spans: [...hours.map(hour), later] };
  const rows = ROWS.filter((row) => row.span === TEN && row.asr);
  const points = (name: string, kind: string) => linesOf(rows, { name, kind }, spans)?.[0]?.points;
  expect(points("calls", "count")).toEqual(hours.map((each, at) => [each, [0, 0, 36_000, 0][at]]));
  expect(points("asr", "percent")?.map(([, share]) => share)).toEqual([null, null, 61.5, null]);
});

it("draws shares, means and peaks as a line only where a span has one", () => {
  expect(linesOf(ROWS, { name: "asr", kind: "percent" })?.[0]?.points.map(([, share]) => share)).toEqual([61.5, 57]);
  const two = [...ROWS, { span: TEN, asr: "58.0", peak_cps: 3 }, { span: TEN, peak_cps: 4 }];
  expect(linesOf(two, { name: "asr", kind: "percent" })).toBeNull();
  expect(linesOf(two, { name: "peak_cps", kind: "count" })).toBeNull();
});

it("says of each amount the currency that it is in", () => {
  const row = { currency: "CNY", income_currency: "EUR", vendor_currency: "USD" };
  expect(["fee", "income", "profit", "cost"].map((name) => currencyOf(row, name))).toEqual([
    "CNY",
    "EUR",
    "EUR",
    "USD",
  ]);
});

it("adds up bars of the same words in each currency, the largest first", () => {
  const words = (row: object) => String((row as { customer_account: string }).customer_account);
  const rows = [
    { customer_account: "clinic", calls: 3, asr: "50.0", fee: "0.384", currency: "USD", vendor_currency: "EUR" },
    { customer_account: "hotel", calls: 2, asr: "60.0", fee: "2.20", currency: "EUR", vendor_currency: "EUR" },
    { customer_account: "clinic", calls: 4, asr: "70.0", fee: "1.9057", currency: "USD", vendor_currency: "USD" },
    { customer_account: "bank", calls: 1, asr: null, fee: null, currency: "USD", vendor_currency: "USD" },
    { customer_account: "taxis", calls: 1, asr: null, fee: "-3.10", currency: "USD", vendor_currency: "USD" },
  ];
  const of = (name: string, kind: string) =>
    barsOf(rows, { name, kind }, words).map(({ currency, bars }) => [
      currency,
      ...bars.map(({ words, value }) => `${words} ${value}`),
    ]);
  expect(of("fee", "money")).toEqual([
    ["USD", "taxis -3.10", "clinic 2.2897"],
    ["EUR", "hotel 2.20"],
  ]);
  expect(of("calls", "count")).toEqual([["", "clinic 7", "hotel 2", "bank 1", "taxis 1"]]);
  expect(of("asr", "percent")).toEqual([["", "clinic USD/USD 70.0", "hotel 60.0", "clinic USD/EUR 50.0"]]);
});

it("adds up an amount in each currency to the digit, but not where a row of the currency lacks it", () => {
  const totals = [
    { income: "3.00", income_currency: "EUR", cost: "0.00", vendor_currency: "EUR", profit: "3.00" },
    { income: "7.236052", income_currency: "USD", cost: "1.10", vendor_currency: "USD", profit: "6.136052" },
    { income: "1.272", income_currency: "USD", cost: "0.442666", vendor_currency: "EUR", profit: null },
  ];
  expect(moneyOf(totals, "income")).toEqual([
    { currency: "EUR", value: "3.00" },
    { currency: "USD", value: "8.508052" },
  ]);
  expect(moneyOf(totals, "cost")).toEqual([
    { currency: "EUR", value: "0.442666" },
    { currency: "USD", value: "1.10" },
  ]);
  expect(moneyOf(totals, "profit")).toEqual([{ currency: "EUR", value: "3.00" }]);
  expect(moneyOf([...totals, { income_currency: "", profit: "0.00" }], "profit")).toEqual([
    { currency: "EUR", value: "3.00" },
  ]);
});

it("says of an hour that the clocks repeat which of the two it is", () => {
  const shown = (span: string) => spanWords(span, "America/New_York");
  expect(shown("2026-11-01T01:00:00-04:00")).toBe("11-01 01:00 UTC-04:00");
  expect(shown("2026-11-01T01:00:00-05:00")).toBe("11-01 01:00 UTC-05:00");
  expect(shown("2026-11-01T02:00:00-05:00")).toBe("11-01 02:00");
  expect(shown("2026-11-01")).toBe("2026-11-01");
});
