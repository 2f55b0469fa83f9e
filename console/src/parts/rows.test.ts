import { environmentManager, InfiniteQueryObserver, QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { pagesOf } from "./rows";

const asked = vi.hoisted(() => vi.fn());
vi.mock("openapi-fetch", () => ({ default: () => ({ use: () => {}, GET: asked }) }));

beforeEach(() => {
  vi.useFakeTimers();
  environmentManager.setIsServer(() => false);
});
afterEach(() => {
  vi.useRealTimers();
});

it("asks for a page in each interval, however many were read", async () => {
  asked.mockImplementation(async (path: string) => {
    const page = Number(new URLSearchParams(path.split("?")[1]).get("cursor") ?? 1);
    return { data: { items: [{ page }], next: String(page + 1) } };
  });
  const list = new InfiniteQueryObserver(new QueryClient(), pagesOf("/registrations", {}, { refetchInterval: 1_000 }));
  const leave = list.subscribe(() => {});
  await vi.advanceTimersByTimeAsync(0);
  for (let page = 2; page <= 10; page += 1) {
    await list.fetchNextPage();
  }
  expect(asked).toHaveBeenCalledTimes(10);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(asked).toHaveBeenCalledTimes(10);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveBeenCalledTimes(20);
  leave();
});
