import { expect, it } from "vitest";
import { keysOfSchedule } from "./schedule";

it("has the report, its criteria and its zone, and no time: that follows from the schedule", () => {
  const order = { since: "2026-10-01T00:00:00Z", until: undefined, group: "day", account: "acme", answered: "false" };
  expect(keysOfSchedule("daily", order, "Europe/Berlin")).toEqual({
    report: "daily",
    timezone: "Europe/Berlin",
    group: "day",
    account: "acme",
    answered: "no",
  });
  expect(keysOfSchedule("daily", {}, "UTC")).toEqual({ report: "daily", timezone: "UTC" });
});
