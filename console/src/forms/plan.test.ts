import { expect, test } from "vitest";
import { planRows, withCriterion } from "./plan";

test("each gateway has its place of now beside the one that it would have", () => {
  const now = { candidates: [{ routing_gateway: "a", position: 1 }], left: [{ routing_gateway: "b", reason: "plan" }] };
  const then = {
    candidates: [
      { routing_gateway: "b", position: 1 },
      { routing_gateway: "a", position: 2 },
    ],
    left: [{ routing_gateway: "c", reason: "down" }],
  };
  expect(planRows(then, now).map((row) => [row.routing_gateway, row.position, row.position_now])).toEqual([
    ["b", 1, null],
    ["a", 2, 1],
    ["c", undefined, null],
  ]);
});

test("a criterion that is added stands before the one of which turns are taken", () => {
  expect(withCriterion(["prefix", "weight"], "cost")).toEqual(["prefix", "cost", "weight"]);
  expect(withCriterion(["prefix"], "round_robin")).toEqual(["prefix", "round_robin"]);
  expect(withCriterion([], "cost")).toEqual(["cost"]);
});
