import { describe, expect, it } from "vitest";
import {
  addressed,
  age,
  amount,
  costSoFar,
  dayBegin,
  duration,
  endOfDay,
  enteredMoment,
  isDayBegin,
  lastDay,
  less,
  localMinute,
  moment,
  searchFor,
  sumOf,
  utc,
} from "./format";

describe("amounts", () => {
  it.each([
    ["0.12", "0.12"],
    ["-1234567.891000", "-1\u202f234\u202f567.891000"],
    ["123", "123"],
    ["unlimited", "unlimited"],
    ["9007199254740993.01", "9\u202f007\u202f199\u202f254\u202f740\u202f993.01"],
  ])("%s keeps each of its digits", (text, shown) => {
    expect(amount(text)).toBe(shown);
  });
});

it.each([
  [0, "0:00"],
  [59.9, "0:59"],
  [61, "1:01"],
  [3_661, "1:01:01"],
  [360_000, "100:00:00"],
])("%s seconds are %s", (seconds, shown) => {
  expect(duration(seconds)).toBe(shown);
});

it("shows the day of a moment unless it is today", () => {
  const now = new Date(2026, 2, 1, 12);
  expect(moment(new Date(2026, 2, 1, 9, 5, 7).toISOString(), now)).toBe("09:05:07");
  expect(moment(new Date(2026, 1, 28, 9, 5, 7).toISOString(), now)).toBe("2026-02-28 09:05:07");
  expect(moment("2026-12-11T00:00:00.999Z", now, "UTC")).toBe("2026-12-11 00:00:00");
  expect(moment("never", now)).toBe("never");
  expect(utc("2026-03-01T12:00:00.123Z")).toBe("2026-03-01 12:00:00 UTC");
});

it("says of a moment in an hour that the clocks repeat which of the two it is", () => {
  const shown = (text: string) => moment(text, new Date(0), "America/New_York");
  expect(shown("2026-11-01T05:00:00Z")).toBe("2026-11-01 01:00:00 UTC-04:00");
  expect(shown("2026-11-01T06:00:00Z")).toBe("2026-11-01 01:00:00 UTC-05:00");
  expect(shown("2026-11-01T07:00:00Z")).toBe("2026-11-01 02:00:00");
  expect(shown("2026-11-01T04:59:59Z")).toBe("2026-11-01 00:59:59");
});

it("has no age below zero", () => {
  expect(age("2026-03-01T12:00:00Z", Date.parse("2026-03-01T12:00:05Z"))).toBe(5);
  expect(age("2026-03-01T12:00:00Z", Date.parse("2026-03-01T11:00:00Z"))).toBe(0);
});

it.each([
  ["0196F3A2-6c1e-7b52-9d0e-3f6f8f0c2a11", "call", "0196f3a2-6c1e-7b52-9d0e-3f6f8f0c2a11"],
  ["+44 7700 900123", "number", "447700900123"],
  ["acme", "name", "acme"],
  ["192.0.2.1", "address", "192.0.2.1"],
  ["192.0.2.1:5060", "address", "192.0.2.1:5060"],
  ["[2001:db8::1]:5060", "address", "[2001:db8::1]:5060"],
  ["2001:db8::1", "address", "2001:db8::1"],
  ["a84b4c76e66710@pc33.example.com", "sip_call_id", "a84b4c76e66710@pc33.example.com"],
  ["cafe", "name", "cafe"],
] as const)("looks for %s as %s", (text, to, value) => {
  expect(searchFor(text)).toEqual({ to, value });
});

it("has a moment as the input of a form has it, and nothing for what is none", () => {
  expect(localMinute(new Date(2026, 2, 1, 9, 5).toISOString())).toBe("2026-03-01T09:05");
  expect(localMinute("yesterday")).toBe("");
  expect(localMinute(undefined)).toBe("");
});

it("begins the day where the chosen zone has it", () => {
  const now = new Date("2026-03-01T18:00:00Z");
  expect(dayBegin(now, "UTC")).toBe("2026-03-01T00:00:00.000Z");
  expect(dayBegin(now, "Asia/Shanghai")).toBe("2026-03-01T16:00:00.000Z");
  expect(moment("2026-03-01T17:30:00Z", now, "Asia/Shanghai")).toBe("01:30:00");
  expect(moment("2026-03-01T15:30:00Z", now, "Asia/Shanghai")).toBe("2026-03-01 23:30:00");
  expect(enteredMoment("2026-03-02T02:00", "Asia/Shanghai")).toBe("2026-03-01T18:00:00.000Z");
  expect(enteredMoment("")).toBeUndefined();
});

it.each([
  ["2026-11-25", "UTC", "2026-11-26T00:00:00.000Z"],
  ["2026-02-28", "Asia/Shanghai", "2026-02-28T16:00:00.000Z"],
  ["2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00.000Z"], // a day of 25 hours
  ["2026-09-05", "America/Santiago", "2026-09-06T04:00:00.000Z"], // the clocks leave out the midnight behind it
])("a span to %s in %s holds that day", (day, zone, until) => {
  expect(endOfDay(day, zone)).toBe(until);
  expect(lastDay(until, zone)).toBe(day);
  expect(isDayBegin(until, zone)).toBe(true);
  expect(isDayBegin(until.replace("00.000Z", "01.000Z"), zone)).toBe(false);
  expect(isDayBegin(until, "Asia/Kathmandu")).toBe(false);
});

it("has no end of what is no day, and the last day of a span that ends within one", () => {
  expect([endOfDay(""), lastDay(undefined), isDayBegin("yesterday")]).toEqual([undefined, "", false]);
  expect(lastDay("2026-11-25T12:00:00Z", "UTC")).toBe("2026-11-25");
});

it.each([
  ["since", "2026-11-01", "2026-10-31T16:00:00.000Z"],
  ["until", "2026-11-01", "2026-11-01T16:00:00.000Z"],
  ["ended_until", "2026-11-01 10:00:30", "2026-11-01T02:00:30.000Z"],
  ["at", "2026-11-01T10:00", "2026-11-01T02:00:00.000Z"],
  ["since", "2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"],
  ["since", "2026-02-30", "2026-02-30"],
  ["until", "2026-13-01", "2026-13-01"],
  ["since", "2026-11-01T25:00", "2026-11-01T25:00"],
  ["until", "yesterday", "yesterday"],
  ["caller", "2026-11-01", "2026-11-01"],
])("an address with %s=%s in Shanghai means %s", (name, value, meant) => {
  expect(addressed(name, value, "Asia/Shanghai")).toBe(meant);
});

it("takes a time that the clocks show twice for the last one where it ends a span", () => {
  expect(addressed("since", "2026-10-25T02:30", "Europe/Berlin")).toBe("2026-10-25T00:30:00.000Z");
  expect(addressed("until", "2026-10-25T02:30", "Europe/Berlin")).toBe("2026-10-25T01:30:00.000Z");
});

it("a call costs so far what its minutes cost", () => {
  const call = { price: "0.60", currency: "USD", seconds: 90 };
  expect(costSoFar([call])).toEqual(["0.9000 USD"]);
  expect(costSoFar([{ price: "1200", currency: "", seconds: 60 }])).toEqual(["1\u202f200.0000"]);
  expect(costSoFar([call, { ...call, currency: "EUR" }, call])).toEqual(["1.8000 USD", "0.9000 EUR"]);
});

it.each([
  ["100.00", "30.00", "70.00"],
  ["0.00", "-0.00000001", "0.00000001"],
  ["-0.50", "0.50", "-1.00"],
  ["0.10", "0.3", "-0.20"],
  ["123456789012.12345678", "0.12345678", "123456789012.00"],
])("%s less %s is %s, to the last digit", (amount, taken, left) => {
  expect(less(amount, taken)).toBe(left);
  expect(sumOf([left, taken])).toBe(amount);
});
