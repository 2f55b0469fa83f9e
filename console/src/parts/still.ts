/** Rows that stand still: what is under the pointer stays there while rows come and go many times a second. */

import { useEffect, useRef, useState } from "react";
import type { Row } from "../api/client";
import { isUnattended } from "../api/use";

/** Mark of a row whose subject is gone. */
const GONE = "is_gone";

/** Tell whether the subject of a row is gone since the rows stand still. */
export const isGone = (row: Row): boolean => row[GONE] === true;

type KeyOf = (row: Row) => string;

/** Rows that were shown, as they are now and where they were; those that are gone stay as they were, and are marked. */
export function stood(shown: readonly Row[], present: readonly Row[], keyOf: KeyOf): readonly Row[] {
  const found = new Map(present.map((row) => [keyOf(row), row]));
  return shown.map((row) => found.get(keyOf(row)) ?? (isGone(row) ? row : { ...row, [GONE]: true }));
}

/**
 * Keep rows where they are while `isUsed`, and say how many more there are now, which `update` shows.
 *
 * `rows` are those that are asked for, `present` all that there are: a row that has changed stays. Rows that are asked
 * for anew by `asked` are shown at once. A page that is left alone keeps no rows: all of them would be gone one day.
 */
export function useStillRows(
  rows: readonly Row[],
  present: readonly Row[],
  { keyOf, isUsed, asked }: { keyOf: KeyOf; isUsed: boolean; asked: unknown },
): { shown: readonly Row[]; more: number; update: () => void } {
  const [updates, setUpdates] = useState(0);
  const before = useRef<{ shown: readonly Row[]; asked: unknown; updates: number; rows: readonly Row[] } | null>(null);
  const last = before.current;
  const isStill = isUsed && !isUnattended() && !!last?.shown.length && last.asked === asked && last.updates === updates;
  const isNew = isStill && last.rows !== rows;
  const shown = isNew ? stood(last.shown, present, keyOf) : isStill ? last.shown : rows;
  useEffect(() => {
    before.current = { shown, asked, updates, rows };
  });
  const known = isStill ? new Set(shown.map(keyOf)) : null;
  const more = known ? rows.filter((row) => !known.has(keyOf(row))).length : 0;
  return { shown, more, update: () => setUpdates((count) => count + 1) };
}
