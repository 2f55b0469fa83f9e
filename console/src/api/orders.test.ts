import { expect, it } from "vitest";
import { Problem, Unreachable } from "./client";
import { Orders } from "./orders";

const refusal = (status: number, code: string) => new Problem(status, code, "", "", "");

/** Give an order again and again, with these failures and then an answer; the keys that it had. */
async function keysOf(orders: Orders, text: string, failures: readonly Error[]): Promise<string[]> {
  const keys: string[] = [];
  for (const failure of [...failures, null]) {
    const act = async (key: string) => {
      keys.push(key);
      if (failure) throw failure;
    };
    await orders.carryOut(text, act).catch((thrown) => expect(thrown).toBe(failure));
  }
  return keys;
}

it("keeps the key of an order until it has an answer", async () => {
  const orders = new Orders();
  const failures = [new Unreachable(""), refusal(409, "request_under_way"), refusal(503, "away"), refusal(422, "form")];
  const first = new Set(await keysOf(orders, "500 to beta", failures));
  const later = new Set(await keysOf(orders, "500 to beta", []));
  expect([first.size, later.size, new Set([...first, ...later]).size]).toEqual([1, 1, 2]);
});

it("gives another order, and one whose key is taken, another key", async () => {
  const orders = new Orders();
  const [lost] = await keysOf(orders, "500 to beta", [refusal(409, "key_reused")]);
  const [first] = await keysOf(orders, "500 to beta", []);
  await orders.carryOut("500 to beta", () => Promise.reject(new Unreachable(""))).catch(() => {});
  const [other] = await keysOf(orders, "600 to beta", []);
  expect(new Set([lost, first, other]).size).toBe(3);
});
