import { useSyncExternalStore } from "react";
import { age, costSoFar, duration } from "../format";

const TICK_MS = 1_000;
const watchers = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;
let now = Date.now();

/** One clock for all ages that are shown; it stands still while none is. */
function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  if (ticking === undefined) now = Date.now();
  ticking ??= setInterval(() => {
    now = Date.now();
    for (const each of watchers) each();
  }, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(ticking);
    ticking = undefined;
  };
}

/** How long something has lasted; it draws itself again each second, and nothing around it. */
export function Age({ since }: { since: string }) {
  return (
    <>
      {duration(
        age(
          since,
          useSyncExternalStore(watch, () => now),
        ),
      )}
    </>
  );
}

/** About what a running call has cost since its answer: the price of a minute, without tax, for the time so far. */
export function CostSoFar({ since, price, currency }: { since: string; price: string; currency: string }) {
  const at = useSyncExternalStore(watch, () => now);
  return (
    <>
      ≈ {costSoFar(price, age(since, at))} {currency}
    </>
  );
}
