import { expect, test } from "vitest";
import { daysLater } from "../zone";
import { asKind, clock, endsOf, kindOf, mondayOf, partOf, withHours } from "./hours";

test("an entry is of the closest kind whose key it has, also while that is empty", () => {
  expect([{}, { weekdays: [] }, { dates: "" }, { date: "", weekdays: ["mon"] }].map(kindOf)).toEqual([
    "daily",
    "weekdays",
    "dates",
    "date",
  ]);
});

test("an entry of another kind keeps its hours", () => {
  const hours = { from: "09:00", to: "18:00", working: "no" };
  expect(asKind({ ...hours, weekdays: ["mon"] }, "dates")).toEqual({ ...hours, dates: ".." });
  expect(asKind({ ...hours, date: "2026-12-24" }, "daily")).toEqual(hours);
  expect(endsOf("2026-08-01..2026-08-14")).toEqual(["2026-08-01", "2026-08-14"]);
});

test("hours that are drawn join the entry that has them, and no other", () => {
  const office = { weekdays: "tue", from: "09:00", to: "18:00" };
  const rest = { weekdays: ["sat"], from: "09:00", to: "18:00", working: "no" };
  expect(withHours([rest, office], "mon", "09:00", "18:00")).toEqual([rest, { ...office, weekdays: ["mon", "tue"] }]);
  const capital = { ...office, weekdays: ["Mon", "TUE"] };
  expect(withHours([capital], "wed", "09:00", "18:00")).toEqual([{ ...office, weekdays: ["mon", "tue", "wed"] }]);
  expect(withHours([rest], "sat", "09:00", "18:00")).toEqual([rest, { weekdays: ["sat"], from: "09:00", to: "18:00" }]);
});

test("weeks begin on Monday, and times are parts of the day", () => {
  expect(mondayOf("2026-03-01")).toBe("2026-02-23");
  expect(mondayOf("2026-03-02")).toBe("2026-03-02");
  expect(daysLater("2026-02-23", 7)).toBe("2026-03-02");
  expect([clock(0), clock(570), clock(1440)]).toEqual(["00:00", "09:30", "24:00"]);
  expect([partOf("00:00"), partOf("12:00"), partOf("24:00")]).toEqual([0, 0.5, 1]);
});
