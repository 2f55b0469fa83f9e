import { expect, it } from "vitest";
import { alike, answerOf } from "./mediasteps";

it.each([
  [6, null, "unknown"],
  [7, true, "yes"],
  [7, false, "no"],
  [8, false, "otherwise"],
])("step %s with the answer %s is shown as %s", (step, relayed, word) => {
  expect(answerOf({ step, relayed, reason: "" })).toBe(word);
});

it("puts gateways with the same steps together, and leaves out those without an engine", () => {
  const steps = [{ step: 6, relayed: null, reason: "not known" }];
  const rows = [
    { routing_gateway: "a", relayed: null, media_step: null, media_steps: steps },
    { routing_gateway: "b", relayed: true, media_step: 3 },
    { routing_gateway: "c", relayed: null, media_step: null, media_steps: steps },
    { routing_gateway: "d" },
  ];
  expect(alike(rows).map((each) => each.gateways)).toEqual([["a", "c"], ["b"]]);
});
