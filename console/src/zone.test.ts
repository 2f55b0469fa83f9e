import { beforeEach, expect, it, vi } from "vitest";
import { enteredEnd, enteredMoment } from "./format";
import { beginZone, chooseZone, chosenZone, clockAt, lastMonth, momentAt, offsetText, repeatedOffset } from "./zone";

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
});

it("keeps the zone that was chosen, and takes none that does not exist", () => {
  chooseZone("Asia/Shanghai");
  beginZone();
  expect(chosenZone()).toBe("Asia/Shanghai");
  chooseZone(undefined);
  beginZone();
  expect(chosenZone()).toBeUndefined();
  localStorage.setItem("vosd.zone", "Mars/Olympus");
  beginZone();
  expect(chosenZone()).toBeUndefined();
});

it.each([
  ["2026-03-01T09:05", "UTC", "2026-03-01T09:05:00.000Z", "UTC"],
  ["2026-03-01T09:05", "Asia/Kolkata", "2026-03-01T03:35:00.000Z", "UTC+05:30"],
  ["2026-03-01T09:05", "America/New_York", "2026-03-01T14:05:00.000Z", "UTC-05:00"],
  // clocks of Berlin go from 02:00 to 03:00 at 01:00 UTC
  ["2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59:00.000Z", "UTC+01:00"],
  ["2026-03-29T03:01", "Europe/Berlin", "2026-03-29T01:01:00.000Z", "UTC+02:00"],
])("%s in %s is %s", (shown, zone, utc, offset) => {
  const at = momentAt(shown, zone);
  expect(at.toISOString()).toBe(utc);
  expect(clockAt(at, zone)).toBe(shown);
  expect(offsetText(at, zone)).toBe(offset);
});

it.each([
  // what the clocks leave out is the first moment behind it, also where that is the beginning of a day
  ["2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00.000Z"],
  ["2026-09-06", "America/Santiago", "2026-09-06T04:00:00.000Z"],
  ["2026-03-08", "America/Havana", "2026-03-08T05:00:00.000Z"],
  ["2026-04-24", "Africa/Cairo", "2026-04-23T22:00:00.000Z"],
  // on the way to 2027 a person types the years 2, 20 and 202
  ["0002-05-01T09:00", "UTC", "0002-05-01T09:00:00.000Z"],
  ["0020-05-01T09:00", "Asia/Shanghai", "0020-05-01T00:54:17.000Z"],
])("%s in %s is the moment %s", (shown, zone, utc) => {
  expect(momentAt(shown, zone).toISOString()).toBe(utc);
});

it.each([
  // clocks of Berlin go from 03:00 to 02:00 at 01:00 UTC, those of New York from 02:00 to 01:00 at 06:00 UTC
  [
    "2026-10-25T02:00",
    "Europe/Berlin",
    "2026-10-25T00:00:00.000Z",
    "UTC+02:00",
    "2026-10-25T01:00:00.000Z",
    "UTC+01:00",
  ],
  [
    "2026-10-25T02:59",
    "Europe/Berlin",
    "2026-10-25T00:59:00.000Z",
    "UTC+02:00",
    "2026-10-25T01:59:00.000Z",
    "UTC+01:00",
  ],
  [
    "2026-11-01T01:30",
    "America/New_York",
    "2026-11-01T05:30:00.000Z",
    "UTC-04:00",
    "2026-11-01T06:30:00.000Z",
    "UTC-05:00",
  ],
  [
    "2026-04-05T01:45",
    "Australia/Lord_Howe",
    "2026-04-04T14:45:00.000Z",
    "UTC+11:00",
    "2026-04-04T15:15:00.000Z",
    "UTC+10:30",
  ],
])("%s in %s begins a span at %s and ends one at the second time", (shown, zone, first, before, last, after) => {
  expect([enteredMoment(shown, zone), enteredEnd(shown, zone)]).toEqual([first, last]);
  expect([first, last].map((at) => repeatedOffset(new Date(at), zone))).toEqual([before, after]);
});

it.each([
  ["2026-10-25T03:00", "Europe/Berlin"],
  ["2026-10-25T01:59", "Europe/Berlin"],
  ["2026-03-29T02:30", "Europe/Berlin"],
  ["2011-12-30T12:00", "Pacific/Apia"], // a day that was left out
  ["2026-10-25T02:30", "UTC"],
])("%s in %s is one moment", (shown, zone) => {
  expect(enteredEnd(shown, zone)).toBe(enteredMoment(shown, zone));
  expect(repeatedOffset(momentAt(shown, zone), zone)).toBeUndefined();
});

it("has no moment of what is none", () => {
  expect(["", "2026-13-01T09:00", "20265-05-01T09:00"].map((text) => enteredMoment(text, "Europe/Berlin"))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

it("takes the last month by the clock of the zone, also at the turn of a month and of a year", () => {
  const at = new Date("2026-03-31T20:00:00Z");
  expect([lastMonth(at, "Asia/Shanghai"), lastMonth(at, "America/New_York")]).toEqual(["2026-03", "2026-02"]);
  expect(lastMonth(new Date("2026-01-15T12:00:00Z"), "UTC")).toBe("2025-12");
});
