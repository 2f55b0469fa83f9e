import { useSyncExternalStore } from "react";
import { present } from "../api/clock";
import { age, costSoFar, dayBegin, duration } from "../format";
import { useZone } from "../zone";

const TICK_MS = 1_000;
const watchers = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;
let now = present();

/** One clock for all ages and moments that are shown; it stands still while none is. */
function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  if (ticking === undefined) now = present();
  ticking ??= setInterval(() => {
    now = present();
    for (const each of watchers) each();
  }, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(ticking);
    ticking = undefined;
  };
}

const QUARTER_MS = 900_000;

/** The present quarter of an hour: days begin with one in each zone, and what leaves out today's is drawn again then. */
export const useQuarter = (): number => useSyncExternalStore(watch, quarter, quarter);
const quarter = () => Math.floor(now / QUARTER_MS);

/** The beginning of today in a zone, the viewer's where none is given; what is drawn with it is drawn again tomorrow. */
export function useDayBegin(zone?: string): string {
  const viewers = useZone();
  useQuarter();
  return dayBegin(new Date(present()), zone ?? viewers);
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

/** An answered call with its price. */
export interface PricedCall {
  /** Its answer, RFC 3339. */
  since: string;
  /** Of a minute, without tax. */
  price: string;
  currency: string;
}

/** About what running calls have cost since their answers, by currency: the prices of a minute for the time so far. */
export function CostSoFar({ calls }: { calls: readonly PricedCall[] }) {
  const at = useSyncExternalStore(watch, () => now);
  const sums = costSoFar(calls.map(({ since, price, currency }) => ({ price, currency, seconds: age(since, at) })));
  return <>≈ {sums.join(" + ")}</>;
}
