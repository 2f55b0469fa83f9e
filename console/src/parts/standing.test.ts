import { expect, it } from "vitest";
import { standingOf } from "./standing";

it.each([
  [{ state: "up", calls: 3, max_concurrent: 4 }, "up"],
  [{ state: "registered", calls: 4, max_concurrent: 4 }, "full"],
  [{ state: "up", calls: 900, max_concurrent: null }, "up"],
  [{ state: "blocked", calls: 4, max_concurrent: 4 }, "blocked"],
  [{ state: "not located", calls: 0, max_concurrent: 4 }, "down"],
])("%o is %s", (row, standing) => {
  expect(standingOf(row)).toBe(standing);
});
