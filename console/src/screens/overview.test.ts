import { expect, it } from "vitest";
import { gatewaysAfterMs } from "./overview";

it("reads many gateways more seldom, so that an open overview costs the switch about the same", () => {
  expect([0, 10, 200].map(gatewaysAfterMs)).toEqual([4_000, 4_000, 4_000]);
  expect(gatewaysAfterMs(1_010)).toBe(24_000);
});
