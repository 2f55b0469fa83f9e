import { expect, it } from "vitest";
import type { Row } from "../api/client";
import { grouped, take } from "./calls";

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
