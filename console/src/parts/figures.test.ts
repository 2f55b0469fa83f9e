import { expect, it } from "vitest";
import { forgetHistory, noted, pointsOf } from "./figures";

it("keeps ten minutes of a figure, at most a value a second", () => {
  forgetHistory();
  noted("calls", 1, 2, 1_000);
  noted("calls", 2, 2, 1_000.5);
  noted("calls", 3, 2, 1_300);
  expect(pointsOf("calls")).toEqual([
    [1_000, 1],
    [1_001, null], // it was not read for minutes: the line is broken
    [1_300, 3],
  ]);
  noted("calls", 4, 2, 1_310);
  noted("calls", 5, 2, 1_605);
  expect(pointsOf("calls").map(([at]) => at)).toEqual([1_300, 1_310, 1_311, 1_605]);
  expect(pointsOf("others")).toEqual([]);
});

it("keeps the line of a figure that is read seldom in one", () => {
  forgetHistory();
  for (const at of [1_000, 1_024, 1_050]) noted("many", 1, 24, at);
  expect(pointsOf("many").map(([at]) => at)).toEqual([1_000, 1_024, 1_050]);
});

it("begins the line anew where the clock goes back", () => {
  forgetHistory();
  for (const at of [5_000, 5_004, 1_400, 1_404]) noted("back", 1, 4, at);
  expect(pointsOf("back").map(([at]) => at)).toEqual([1_400, 1_404]);
});
