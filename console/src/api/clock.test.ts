import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { noteDate, present } from "./clock";

const AT = Date.parse("2026-11-30T12:00:00Z");

beforeEach(() => {
  vi.useFakeTimers({ now: AT });
  noteDate(new Date(AT).toUTCString());
});
afterEach(() => {
  vi.useRealTimers();
});

test("the clock of the browser holds where answers say about the same", () => {
  noteDate(new Date(AT - 12_000).toUTCString());
  expect(present()).toBe(AT);
});

test("a clock that is off is put right by the first answer, and stands still with the next ones", () => {
  noteDate(new Date(AT - 3_600_000).toUTCString());
  expect(present()).toBe(AT - 3_600_000);
  vi.setSystemTime(AT + 1_000);
  noteDate(new Date(AT - 3_601_000).toUTCString());
  expect(present()).toBe(AT - 3_599_000);
});

test("a clock that was put right holds again", () => {
  noteDate(new Date(AT + 3_600_000).toUTCString());
  expect(present()).toBe(AT + 3_600_000);
  vi.setSystemTime(AT + 3_600_000);
  noteDate(new Date(AT + 3_600_000).toUTCString());
  expect(present()).toBe(AT + 3_600_000);
});

test("an answer without a date says nothing", () => {
  noteDate(null);
  noteDate("yesterday");
  expect(present()).toBe(AT);
});
