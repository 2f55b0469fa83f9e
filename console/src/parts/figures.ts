/** What was seen of figures since the page was opened: lines over the last ten minutes, kept while other pages are shown. */

/** A value at a time, in seconds since 1970; no value where none was read. */
export type Point = readonly [number, number | null];

/** Ten minutes. */
export const SHOWN_S = 600;

/** A figure that was not read for so long, nor in three of its readings, is not known. */
const UNKNOWN_S = 15;
const UNKNOWN_READINGS = 3;

const seen = new Map<string, Point[]>();

/** Note a value of now, of a figure that is read every `everyS` seconds, and return all that are not too old. */
export function noted(name: string, value: number, everyS = 0, now = Date.now() / 1_000): readonly Point[] {
  const before = seen.get(name) ?? [];
  const last = before.at(-1);
  if (last && Math.abs(now - last[0]) < 1) return before;
  const isKnown = !last || now - last[0] <= Math.max(UNKNOWN_S, UNKNOWN_READINGS * everyS);
  const gap: Point[] = last && !isKnown ? [[last[0] + 1, null]] : [];
  const after = [...[...before, ...gap].filter(([at]) => at > now - SHOWN_S && at < now), [now, value] as const];
  seen.set(name, after);
  return after;
}

/** What was noted of a figure. */
export const pointsOf = (name: string): readonly Point[] => seen.get(name) ?? [];

/** Forget all: another person looks. */
export const forgetHistory = () => seen.clear();
