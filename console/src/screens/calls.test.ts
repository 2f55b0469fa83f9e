import { expect, it } from "vitest";
import type { Row } from "../api/client";
import { grouped, RunningCalls, take } from "./calls";

const CALL = { call_id: "a", caller_in: "1", callee_in: "2", customer_account: "acme" };

it("follows a call from its first gateway to its end", () => {
  const calls = new Map<string, Row>();
  take(calls, { type: "call.trying", data: CALL });
  take(calls, { type: "call.trying", data: { ...CALL, routing_gateway: "b" } });
  expect([...calls.values()]).toMatchObject([{ state: "trying", caller: "1", callee: "2", routing_gateway: "b" }]);
  take(calls, { type: "call.ringing", data: { ...CALL, routing_gateway: "b", rings_beside: ["c"] } });
  expect([...calls.values()]).toMatchObject([{ state: "ringing", routing_gateway: "b", rings_beside: ["c"] }]);
  take(calls, { type: "call.answered", data: CALL });
  expect(calls.get("a")?.state).toBe("talking");
  take(calls, { type: "balance.changed", data: CALL });
  take(calls, { type: "call.ended", data: CALL });
  expect(calls.size).toBe(0);
});

it("counts calls by a field, the most first", () => {
  const rows = [{ vendor: "x" }, { vendor: "y", answered_at: "t" }, { vendor: "y" }, { vendor: null }];
  expect(grouped(rows, "vendor")).toEqual([
    { vendor: "y", calls: 2, answered: 1 },
    { vendor: "x", calls: 1, answered: 0 },
    { vendor: "", calls: 1, answered: 0 },
  ]);
});

it("groups calls by the first digits of the called number", () => {
  const rows = [{ callee: "44201" }, { callee: "+44202" }, { callee: "49" }];
  expect(grouped(rows, "destination").map((row) => [row.destination, row.calls])).toEqual([
    ["4420", 2],
    ["49", 1],
  ]);
});

it("takes readings in their order, with all that happened while each was under way", async () => {
  const answers: { resolve: (calls: Map<string, Row>) => void; reject: (failure: Error) => void }[] = [];
  const running = new RunningCalls(() => new Promise((resolve, reject) => answers.push({ resolve, reject })));
  const all = () => new Map<string, Row>(["a", "b", "c"].map((id) => [id, { call_id: id }]));
  const ended = (call_id: string) => running.take({ type: "call.ended", data: { call_id } });
  const ids = () => [...(running.calls?.keys() ?? [])].join(" ");

  const [first, second, third] = [running.read(), running.read(), running.read()];
  answers[0]?.resolve(all());
  expect([await first, ids()]).toEqual([false, "a b c"]);
  ended("a");
  expect(ids()).toBe("b c");
  answers[2]?.resolve(all());
  expect([await third, ids()]).toEqual([true, "b c"]);
  ended("b");
  answers[1]?.resolve(all());
  expect([await second, ids()]).toEqual([false, "c"]);

  const failing = running.read();
  answers[3]?.reject(new Error("away"));
  await expect(failing).rejects.toThrow("away");
  ended("c");
  expect(ids()).toBe("");
});
