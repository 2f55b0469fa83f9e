import { environmentManager, InfiniteQueryObserver, QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Query } from "../api/client";
import type * as rows from "../parts/rows";
import { CHARGED_MS, useCharged } from "./accounts";

const server = vi.hoisted(() => ({ asked: vi.fn(), leave: () => {} }));
vi.mock("openapi-fetch", () => ({ default: () => ({ use: () => {}, GET: server.asked }) }));
vi.mock("../parts/rows", async (original) => {
  const { pagesOf } = await original<typeof rows>();
  return {
    useRows: (path: string, query: Query, { pagesMin: _, ...terms }: Parameters<typeof rows.useRows>[2] & object) => {
      const list = new InfiniteQueryObserver(new QueryClient(), pagesOf(path, query, terms));
      server.leave = list.subscribe(() => {});
      return { rows: [] };
    },
  };
});

beforeEach(() => {
  vi.useFakeTimers();
  environmentManager.setIsServer(() => false);
});
afterEach(() => {
  server.leave();
  vi.useRealTimers();
});

it("reads what accounts were charged today again and again", async () => {
  server.asked.mockImplementation(async () => ({ data: { items: [], next: null } }));
  useCharged({}, 1);
  await vi.advanceTimersByTimeAsync(CHARGED_MS - 1);
  expect(server.asked).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(server.asked).toHaveBeenCalledTimes(2);
});
