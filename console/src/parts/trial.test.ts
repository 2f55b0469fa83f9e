import { expect, it } from "vitest";
import { untoldOf } from "./trial";

it("says why the switch has not taken a change or a booking yet", () => {
  expect(untoldOf({ in_force: false, untold: "no answer" })).toBe("no answer");
  expect(untoldOf({ receipts: [{ untold: "" }, { untold: "no answer" }] })).toBe("no answer");
  expect(untoldOf({ in_force: true, untold: "" })).toBe("");
  expect(untoldOf(undefined)).toBe("");
});
