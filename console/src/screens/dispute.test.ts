import { expect, it } from "vitest";
import { typedOver } from "./dispute";

it("keeps what was typed over a dispute that a colleague changes, and takes the rest of it", () => {
  const now = { state: "accepted", amount: "0.20", reference: "", memo: "agreed by telephone" } as const;
  const states = ["accepted", "settled"];
  expect(typedOver(now, { memo: "mine" }, states)).toEqual({ ...now, memo: "mine" });
  expect(typedOver(now, { state: "settled", amount: "0.30" }, states)).toEqual({
    ...now,
    state: "settled",
    amount: "0.30",
  });
  expect(typedOver(now, { state: "sent" }, states)).toEqual(now);
  const over = { ...now, state: "settled" } as const;
  expect(typedOver(over, { state: "accepted", amount: "9", reference: "credit 17" }, ["settled"])).toEqual({
    ...over,
    reference: "credit 17",
  });
});
