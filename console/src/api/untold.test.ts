import { expect, it } from "vitest";
import { untoldOf } from "./untold";

it("says why the switch has not taken a change or a booking yet", () => {
  expect(untoldOf({ in_force: false, untold: "no answer" })).toBe("no answer");
  expect(untoldOf({ receipts: [{ untold: "" }, { untold: "no answer" }] })).toBe("no answer");
  expect(untoldOf({ in_force: true, untold: "" })).toBe("");
  expect(untoldOf({ receipts: [{ untold: "" }] })).toBe("");
});

it("takes nothing from a trial, nor from an answer that is about no change of the switch", () => {
  expect(untoldOf({ dry_run: true, untold: "" })).toBeUndefined();
  expect(untoldOf({ link: "/#/first-login/x" })).toBeUndefined();
  expect(untoldOf(null)).toBeUndefined();
});
