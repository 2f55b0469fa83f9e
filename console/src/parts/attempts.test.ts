import { expect, it } from "vitest";
import { bars } from "./attempts";

const attempt = (ms: number | null) => ({ gateway: "a", code: 503, ms, pdd_ms: null, reason: null });

it("lets each attempt begin where the one before has ended", () => {
  const found = bars([attempt(30), attempt(10), attempt(null)]);
  expect(found.map((bar) => bar.begin)).toEqual([0, 30, 40]);
  expect(found.map((bar) => bar.left)).toEqual([0, 75, 99.5]);
  expect(found.map((bar) => bar.width)).toEqual([75, 25, 0.5]);
});

it("draws attempts that took no time", () => {
  expect(bars([attempt(0)]).map((bar) => [bar.left, bar.width])).toEqual([[0, 0.5]]);
});
