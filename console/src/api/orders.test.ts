import { expect, it, vi } from "vitest";
import { ChangedSince, CutOff, isLate, Problem, send, Unreachable, unlessOther } from "./client";
import { endOf, type Job, resultOf } from "./jobs";
import { DoneOtherwise, isPageOld, mayBeCarriedOut, Orders } from "./orders";
import { noteAnswer } from "./untold";

vi.mock("./untold", () => ({ noteAnswer: vi.fn() }));

const answered = vi.hoisted(() => {
  // a page has an address, which its requests are below
  class Request extends globalThis.Request {
    constructor(path: string, init: RequestInit) {
      super(new URL(path, "http://switch"), init);
    }
  }
  vi.stubGlobal("Request", Request);
  const fetched = vi.fn<(request: Request) => Promise<Response>>();
  vi.stubGlobal("fetch", fetched);
  return fetched;
});

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

it("takes what a proxy has not passed on for refused, and not for what had become of it before", async () => {
  const orders = new Orders();
  const order = (failure: Error) => orders.carryOut("3 MB", () => Promise.reject(failure)).catch(() => {});
  await order(refusal(413, ""));
  expect(orders.mayBeDone("3 MB")).toBe(false);
  await order(refusal(403, "")); // perhaps by what the answer of the switch has
  expect(orders.mayBeDone("3 MB")).toBe(true);
  await order(refusal(413, ""));
  expect(orders.mayBeDone("3 MB")).toBe(true);
});

it.each([401, 403, 429])(
  "takes a lost order for open after %i: that was refused before the order was looked at",
  async (status) => {
    const orders = new Orders();
    const order = (failure: Error) => orders.carryOut("pay", () => Promise.reject(failure)).catch(() => {});
    await order(new Unreachable(""));
    await order(refusal(status, "refused"));
    expect(orders.mayBeDone("pay")).toBe(true);
    await order(refusal(422, "form"));
    expect(orders.mayBeDone("pay")).toBe(false);
  },
);

it("keeps the key of an order whose answer was lost while others are tried", async () => {
  const orders = new Orders();
  const keys: string[] = [];
  const order = (text: string, failure?: Error) =>
    orders
      .carryOut(text, async (key) => {
        keys.push(key);
        if (failure) throw failure;
      })
      .catch((thrown) => expect(thrown).toBe(failure));
  await order("21", new Unreachable(""));
  await order("21.1234567891", refusal(422, "form"));
  await order("22", new Unreachable(""));
  expect(["21", "21.1234567891", "22"].map((text) => orders.mayBeDone(text))).toEqual([true, false, true]);
  await order("21", refusal(503, "store_unavailable"));
  expect(orders.mayBeDone("21")).toBe(true);
  await order("21");
  expect(keys[4]).toBe(keys[0]);
  expect([orders.mayBeDone("21"), orders.mayBeDone("22"), new Set(keys).size]).toEqual([false, true, 3]);
});

it("tells an order whose answer was lost from one that was refused, and from another order", async () => {
  const seen: boolean[][] = [];
  for (const failure of [
    new Unreachable(""),
    refusal(504, ""),
    refusal(504, "outcome_unknown"),
    refusal(409, "request_under_way"),
    refusal(422, "form"),
  ]) {
    const orders = new Orders();
    await orders.carryOut("500 to beta", () => Promise.reject(failure)).catch(() => {});
    seen.push([orders.mayBeDone("500 to beta"), orders.mayBeDone("600 to beta")]);
    await orders.carryOut("500 to beta", async () => {});
    expect(orders.mayBeDone("500 to beta")).toBe(false);
  }
  expect(seen).toEqual([
    [true, false],
    [true, false],
    [true, false],
    [true, false],
    [false, false],
  ]);
});

it("gives another order, and one whose key is taken, another key", async () => {
  const orders = new Orders();
  const [lost] = await keysOf(orders, "500 to beta", [refusal(409, "key_reused")]);
  const [first] = await keysOf(orders, "500 to beta", []);
  await orders.carryOut("500 to beta", () => Promise.reject(new Unreachable(""))).catch(() => {});
  const [other] = await keysOf(orders, "600 to beta", []);
  expect(new Set([lost, first, other]).size).toBe(3);
});

it("carries out at once what the server alone tells from the order before, where that one had an answer", async () => {
  const orders = new Orders();
  const kept = new Map<string, string>();
  const order = (memo: string) =>
    orders.carryOut("500 to beta", async (key) => {
      if (kept.has(key)) throw refusal(409, "key_reused");
      kept.set(key, memo);
      if (memo === "too long") throw refusal(422, "form");
    });
  await expect(order("too long")).rejects.toThrow(Problem);
  await order("another");
  expect([...kept.values()]).toEqual(["too long", "another"]);
});

it("says that an order whose answer was lost was carried out, and carries no other one out by itself", async () => {
  const orders = new Orders();
  const carriedOut = new Map<string, string>();
  const order = (memo: string) =>
    orders.carryOut("500 to beta", async (key) => {
      if (carriedOut.has(key)) throw refusal(409, "key_reused");
      carriedOut.set(key, memo);
      if (memo === "lost") throw new Unreachable("");
    });
  await expect(order("lost")).rejects.toThrow(Unreachable);
  expect([orders.mayOtherBeDone("500 to beta"), orders.mayOtherBeDone("600 to beta")]).toEqual([false, true]);
  const said = await order("another").catch((thrown: Error) => thrown);
  expect(said).toBeInstanceOf(DoneOtherwise);
  expect([mayBeCarriedOut(said), isPageOld(said as Error), orders.mayBeDone("500 to beta")]).toEqual([
    false,
    true,
    false,
  ]);
  await order("another");
  expect([...carriedOut.values()]).toEqual(["lost", "another"]);
});

it("has a job that failed begun anew", async () => {
  const job = { id: 7, state: "failed", problem: { status: 503, code: "away", detail: "" } } as unknown as Job;
  const failure = await endOf(job).catch((thrown: Error) => thrown);
  const [failed, again] = await keysOf(new Orders(), "invoices of 2026-10", [failure as Error]);
  expect(failure).toMatchObject({ status: 503, code: "away" });
  expect(again).not.toBe(failed);
});

it("looks at a long job more seldom, and tells soon that a short one is over", async () => {
  vi.useFakeTimers();
  const lookedAt: number[] = [];
  const begun = Date.now();
  answered.mockImplementation(async () => {
    lookedAt.push(Date.now() - begun);
    return Response.json({ id: 7, state: Date.now() - begun < 60_000 ? "running" : "done", progress: 0 });
  });
  const over = endOf({ id: 7, state: "running" } as unknown as Job);
  await vi.advanceTimersByTimeAsync(63_000);
  expect(await over).toMatchObject({ state: "done" });
  expect(lookedAt[0]).toBeLessThan(500);
  expect(lookedAt.length).toBeLessThan(50);
  vi.useRealTimers();
});

it("says of an order whose answer stands still in its middle that it has not come in time", async () => {
  const still = new ReadableStream({
    start(body) {
      body.enqueue(new TextEncoder().encode('{"receipts": ['));
      body.error(new DOMException("signal timed out", "TimeoutError"));
    },
  });
  answered.mockImplementation(async () => new Response(still, { headers: { "Content-Type": "application/json" } }));
  const failure = await send("post", "/payments").catch((thrown: Error) => thrown);
  expect(failure).toBeInstanceOf(Unreachable);
  expect([isLate(failure as Error), mayBeCarriedOut(failure)]).toEqual([true, true]);
});

it("takes the result of a job for the answer to what it has changed", async () => {
  answered.mockImplementation(async () => Response.json({ calls: 3, untold: "no answer" }));
  await resultOf({ id: 7, state: "done" } as unknown as Job);
  expect(noteAnswer).toHaveBeenCalledExactlyOnceWith({ calls: 3, untold: "no answer" });
});

const RUNNING = { id: 7, state: "running" } as unknown as Job;
const AWAY = { status: 503, code: "away", detail: "the database is away: nothing was stored" };

it("looks at a job again where the answer is late, cut off or refused for a moment", async () => {
  vi.useFakeTimers();
  const busy = () => Response.json({ code: "too_many_requests" }, { status: 429 });
  const answers = [
    () => Promise.reject(new TypeError("Failed to fetch")),
    () => Promise.resolve(new Response('{"id": 7, "st', { headers: { "Content-Type": "application/json" } })),
    () => Promise.resolve(busy()),
    () => Promise.resolve(Response.json(AWAY, { status: 503 })),
    () => Promise.resolve(Response.json({ id: 7, state: "done" })),
    () => Promise.resolve(busy()),
    () => Promise.resolve(Response.json({ calls: 3 })),
  ];
  answered.mockImplementation(() => answers.shift()?.() ?? Promise.reject(new Error("too often")));
  const result = resultOf(RUNNING);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await result).toEqual({ calls: 3 });
  vi.useRealTimers();
});

it("cancels a job, once, that nobody waits for any more, and none that is over", async () => {
  vi.useFakeTimers();
  const cancelled: string[] = [];
  answered.mockReset().mockImplementation(async (request) => {
    if (request.method === "DELETE") cancelled.push(request.url);
    return Response.json({ id: 7, state: cancelled.length > 0 ? "cancelled" : "running", progress: 0 });
  });
  const waiting = new AbortController();
  const failed = endOf(RUNNING, () => {}, waiting.signal).catch((failure: Error) => failure);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(cancelled).toEqual([]);
  waiting.abort();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await failed).toMatchObject({ message: "cancelled" });
  const begun = endOf(RUNNING, () => {}, waiting.signal).catch((failure: Error) => failure); // by an answer that has come later
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await begun).toMatchObject({ message: "cancelled" });
  const over = new AbortController();
  await endOf({ id: 8, state: "done" } as unknown as Job, () => {}, over.signal);
  over.abort();
  expect(cancelled).toEqual(Array(2).fill("http://switch/api/v1/jobs/7"));
  vi.useRealTimers();
});

it.each([
  ["for long", 503, 15],
  ["for good", 403, 1],
])("takes the refusal of a question about a job, %s, for no refusal of what was ordered", async (_, status, times) => {
  vi.useFakeTimers();
  answered.mockReset().mockImplementation(async () => Response.json({ ...AWAY, status }, { status }));
  const failed = endOf(RUNNING).catch((failure: Error) => failure);
  await vi.advanceTimersByTimeAsync(60_000);
  const failure = await failed;
  expect(failure).toMatchObject({ message: AWAY.detail, status });
  expect([mayBeCarriedOut(failure), answered.mock.calls.length]).toEqual([true, times]);
  vi.useRealTimers();
});

it.each([
  ["", '{"receipts": [{"am'],
  [" by a proxy of HTTP/1.0 or before its first byte", ""],
])("says of an order whose answer is cut off%s that it may have been carried out", async (_, received) => {
  const cut = new ReadableStream({
    start(body) {
      if (received) body.enqueue(new TextEncoder().encode(received));
      if (received) body.error(new TypeError("Failed to fetch"));
      else body.close();
    },
  });
  answered.mockImplementation(async () => new Response(cut, { headers: { "Content-Type": "application/json" } }));
  const failure = await send("post", "/payments").catch((thrown: Error) => thrown);
  expect(failure).toBeInstanceOf(CutOff);
  expect(mayBeCarriedOut(failure)).toBe(true);
});

it("tells what had been carried out when it was ordered before", async () => {
  const orders = new Orders();
  const booked = new Set<string>();
  answered.mockImplementation(async ({ headers }) => {
    const key = headers.get("Idempotency-Key") ?? "";
    const isKnown = booked.has(key);
    booked.add(key);
    if (booked.size === 1 && !isKnown) throw new TypeError("its answer is lost");
    return Response.json({}, { headers: isKnown ? { "Idempotent-Replayed": "true" } : {} });
  });
  const pay = (key: string) => send("post", "/payments", { headers: { "Idempotency-Key": key } });
  const told: boolean[] = [];
  await expect(orders.carryOut("500 to beta", pay)).rejects.toThrow(Unreachable);
  for (const _ of ["repeat", "another"]) {
    await orders.carryOut("500 to beta", pay);
    told.push(orders.isRepeat);
  }
  expect([told, booked.size]).toEqual([[true, false], 2]);
});

it("tells an order of its repeat behind a lost answer, and takes what another person has changed for no lost answer", async () => {
  const orders = new Orders();
  const told: boolean[] = [];
  for (const failure of [new Unreachable(""), new ChangedSince(), null]) {
    const act = async (_: string, again?: string) => {
      told.push(again !== undefined);
      if (failure) throw failure;
    };
    await orders.carryOut("55 for rival", act).catch(() => {});
  }
  expect(told).toEqual([false, true, false]);
});

it("repeats an order whose answer was lost, and leaves alone what another person has set where it has not come", async () => {
  let limit = 200;
  const carriedOut = new Set<string>();
  answered.mockImplementation(async ({ headers }) => {
    const key = headers.get("Idempotency-Key") ?? "";
    const isKnown = carriedOut.has(key);
    if (!isKnown && headers.has("Idempotency-Repeat")) return Response.json({ code: "key_unknown" }, { status: 409 });
    carriedOut.add(key);
    if (!isKnown) limit = 55;
    return Response.json({}, { headers: isKnown ? { "Idempotent-Replayed": "true" } : {} });
  });
  const set = (key: string) => send("post", "/limit", { headers: { "Idempotency-Key": key } });
  const orders = new Orders();
  const order = (act: (key: string) => Promise<unknown>) =>
    orders.carryOut("55", (key, again) =>
      unlessOther(
        200,
        async () => limit,
        () => act(key),
        again,
      ),
    );
  const lose = (failure: Error) => Promise.reject(failure);
  await expect(order(() => lose(new Unreachable("")))).rejects.toThrow(Unreachable);
  limit = 100;
  await expect(order(set)).rejects.toThrow(ChangedSince);
  expect([limit, orders.mayBeDone("55")]).toEqual([100, false]);
  limit = 200;
  await expect(order((key) => set(key).then(() => lose(new Unreachable(""))))).rejects.toThrow(Unreachable);
  await order(set);
  expect([limit, orders.isRepeat]).toEqual([55, true]);
});
