import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Row } from "../api/client";
import { follow, take } from "./running";

const CALL = { call_id: "a", caller_in: "1", callee_in: "2", customer_account: "acme" };

interface Reading {
  resolve: (rows: Row[]) => void;
  reject: (failure: Error) => void;
}

const switchboard = vi.hoisted(() => ({
  /** Readings of all calls, in the order in which they were begun. */
  readings: [] as Reading[],
  /** How often one row was asked for. */
  looks: 0,
  isAway: false,
  happens: (_: { type: string; data: Row }) => {},
  /** How often the stream was asked for. */
  listened: 0,
}));

vi.mock("../api/client", () => ({
  allOf: () => new Promise<Row[]>((resolve, reject) => switchboard.readings.push({ resolve, reject })),
  pageOf: async () => {
    switchboard.looks += 1;
    if (switchboard.isAway) throw new Error("away");
    return { items: [], next: null };
  },
}));
vi.mock("../api/events", () => ({
  listen: (listener: typeof switchboard.happens) => {
    switchboard.happens = listener;
    switchboard.listened += 1;
    return () => {};
  },
}));

const rows = (...ids: string[]): Row[] => ids.map((call_id) => ({ call_id }));
const happens = (type: string, data: Row = {}) => switchboard.happens({ type, data });
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** Calls as they were drawn last, and the error. */
let drawn: string;
let error: string | null;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(switchboard, { readings: [], looks: 0, isAway: false });
  drawn = "";
  error = "not read yet";
  stop = follow(
    (found) => {
      drawn = found.map((row) => row.call_id).join(" ");
    },
    (failure) => {
      error = failure?.message ?? null;
    },
    true,
  );
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

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

it("names the called number by an event as by a reading: the one that is billed", () => {
  const calls = new Map<string, Row>();
  take(calls, { type: "call.ringing", data: { ...CALL, callee_in: "00442", callee_billing: "442" } });
  expect(calls.get("a")).toMatchObject({ caller: "1", callee: "442" });
  take(calls, { type: "call.answered", data: { ...CALL, callee_in: "00442" } });
  expect(calls.get("a")?.callee).toBe("00442");
});

it("takes a reading with what happened meanwhile, and reads once more behind it where that was asked for", async () => {
  happens("stream.gap");
  happens("stream.gap");
  happens("call.ended", { call_id: "a" });
  expect(switchboard.readings).toHaveLength(1);
  switchboard.readings[0]?.resolve(rows("a", "b", "c"));
  await passes(500);
  expect([drawn, error, switchboard.readings.length]).toEqual(["b c", null, 2]);
  happens("call.ended", { call_id: "b" });
  await passes(500);
  expect(drawn).toBe("c");
  switchboard.readings[1]?.resolve(rows("b", "c"));
  await passes(10_000);
  expect([drawn, error, switchboard.readings.length]).toEqual(["c", null, 2]);
});

it("reads again while the stream is open and says nothing: a proxy may keep back what comes", async () => {
  switchboard.readings[0]?.resolve(rows("a"));
  await passes(10_000);
  happens("balance.changed");
  await passes(14_000);
  expect([drawn, switchboard.readings.length]).toEqual(["a", 1]);
  await passes(60_000);
  expect(switchboard.readings).toHaveLength(2); // one at a time
  switchboard.readings[1]?.resolve([]);
  await passes(500);
  expect(drawn).toBe("");
});

it("reads once at a time while the stream is refused, and forgets the error of a reading that failed", async () => {
  switchboard.readings[0]?.reject(new Error("away"));
  await passes(5_000);
  expect([error, switchboard.readings.length]).toEqual(["away", 2]);
  for (let lost = 0; lost < 5; lost += 1) {
    happens("stream.lost");
    await passes(3_000);
  }
  expect([switchboard.looks, switchboard.readings.length]).toEqual([5, 2]);
  switchboard.readings[1]?.resolve(rows("a"));
  await passes(500);
  expect([drawn, error]).toEqual(["a", null]);
  switchboard.isAway = true;
  happens("stream.lost");
  await passes(0);
  expect(error).toBe("away");
});

it("reads again and again while the stream is refused, less often than that is tried", async () => {
  switchboard.readings[0]?.resolve(rows("a"));
  for (let lost = 0; lost < 15; lost += 1) {
    happens("stream.lost");
    await passes(3_000);
    switchboard.readings.at(-1)?.resolve(rows("b", "c"));
  }
  await passes(500);
  expect([drawn, error]).toEqual(["b c", null]);
  expect([switchboard.looks, switchboard.readings.length]).toEqual([15, 3]);
  happens("stream.begun");
  switchboard.readings.at(-1)?.resolve(rows("c"));
  await passes(10_000);
  expect([drawn, switchboard.readings.length]).toEqual(["c", 4]);
});

it("says at once that the switch is away", async () => {
  switchboard.readings[0]?.resolve(rows("a"));
  await passes(500);
  expect([drawn, error]).toEqual(["a", null]);
  happens("stream.switch_away");
  switchboard.readings[1]?.reject(new Error("away"));
  await passes(0);
  expect(error).toBe("away");
});

it("asks for no stream without the right to it, and reads again and again instead", async () => {
  stop();
  Object.assign(switchboard, { readings: [], listened: 0 });
  let seen = "";
  stop = follow(
    (found) => {
      seen = found.map((row) => row.call_id).join(" ");
    },
    () => {},
    false,
  );
  switchboard.readings[0]?.resolve(rows("a"));
  await passes(15_000);
  expect([seen, switchboard.readings.length, switchboard.listened, switchboard.looks]).toEqual(["a", 2, 0, 0]);
  switchboard.readings[1]?.resolve(rows("b"));
  await passes(500);
  expect(seen).toBe("b");
});
