import { expect, it } from "vitest";
import { endsOf, extentWords, figureWords, spanAxis, widthOf } from "./axis";

it("writes figures as amounts are written elsewhere", () => {
  expect([1_500_000_000, 1_000, 0.00000456, -250.5, 0].map(figureWords)).toEqual([
    "1\u202f500\u202f000\u202f000",
    "1\u202f000",
    "0.00000456",
    "-250.5",
    "0",
  ]);
});

it("is wide enough for the longest figure", () => {
  expect(widthOf(null, 64)).toBe(64);
  expect(widthOf(["0", "500"], 64)).toBe(64);
  expect(widthOf(["0", "1 500 000 000"], 64)).toBeGreaterThan(13 * 6.7);
});

it("ends where figures end, however small they are", () => {
  expect(endsOf(0.004, 0.019)).toEqual([0, 0.019]);
  expect(endsOf(-900, -200)).toEqual([-900, 0]);
  expect(endsOf(-3, 7)).toEqual([-3, 7]);
  expect(endsOf(0, 0)).toEqual([0, 1]);
  expect(endsOf(null, null)).toEqual([0, 1]);
});

it("says from where to where figures go", () => {
  expect(extentWords([-500, null, -200.5, -900])).toBe("-900 … -200.5");
  expect(extentWords([0.012, 1_234_567.5])).toBe("0.012 … 1\u202f234\u202f567.5");
  expect(extentWords([null])).toBe("–");
});

it("has labels below the hours of a month and of years", () => {
  const { incrs } = spanAxis("black", 100, String);
  const widest = Math.max(...(incrs as number[]));
  expect(incrs).toContain(24);
  expect(widest * 3).toBeGreaterThan(10 * 366 * 24);
});
