import { afterEach, expect, test, vi } from "vitest";
import type { Schemas } from "../api/client";
import { noteDate } from "../api/clock";
import { inForceOf } from "./versions";

const AT = Date.parse("2026-11-30T12:00:00Z");
const MADE = "2026-11-30T11:00:00.000Z";

afterEach(() => {
  vi.useRealTimers();
});

test("a version that is planned is not in force by the clock of a browser that is ahead", () => {
  vi.useFakeTimers({ now: AT + 3_600_000 });
  noteDate(new Date(AT).toUTCString());
  const versions = [
    { version: 1, begins_at: MADE, made_at: MADE },
    { version: 2, begins_at: "2026-11-30T12:30:00.000Z", made_at: MADE },
  ] as Schemas["KeysSheet"][];
  expect(inForceOf(versions)).toBe(1);
  vi.setSystemTime(AT + 2 * 3_600_000);
  expect(inForceOf(versions)).toBe(2);
});
