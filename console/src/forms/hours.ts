/** Entries of a calendar: their kinds, and hours that are drawn into a week. */

import { itemsOf, type Keys } from "./keys";

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const DAY_MINUTES = 24 * 60;
const HOUR_MINUTES = 60;
const SEPARATOR = "..";

/** The kinds of entries, the closest first: in this order they decide. */
export const KINDS = ["date", "dates", "weekdays", "daily"] as const;
export type EntryKind = (typeof KINDS)[number];

/** The kind of an entry by the keys that it has; one whose days are still to be chosen has theirs already. */
export function kindOf(entry: Keys): EntryKind {
  if (entry.date !== undefined) return "date";
  if (entry.dates !== undefined) return "dates";
  return entry.weekdays === undefined ? "daily" : "weekdays";
}

/** The entry as one of another kind; its hours stay. */
export function asKind(entry: Keys, kind: EntryKind): Keys {
  const { date: _date, dates: _dates, weekdays: _weekdays, ...rest } = entry;
  if (kind === "daily") return rest;
  return { ...rest, [kind]: kind === "weekdays" ? [] : kind === "dates" ? SEPARATOR : "" };
}

/** Both ends of a range of dates, as far as they are written. */
export function endsOf(dates: unknown): readonly [string, string] {
  const [first = "", last = ""] = String(dates ?? "").split(SEPARATOR);
  return [first.trim(), last.trim()];
}

export const rangeOf = (first: string, last: string): string => `${first}${SEPARATOR}${last}`;

/** A minute of the day as it is written. */
export function clock(minute: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / HOUR_MINUTES))}:${two(minute % HOUR_MINUTES)}`;
}

/** The part of a day that has passed at a time such as 09:30, from 0 to 1. */
export function partOf(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(":").map(Number);
  return (hours * HOUR_MINUTES + minutes + seconds / HOUR_MINUTES) / DAY_MINUTES;
}

/** Working hours of a week day beside the entries that there are; an entry with the same hours gets the day. */
export function withHours(entries: readonly Keys[], weekday: string, from: string, to: string): Keys[] {
  const isAlike = (entry: Keys) =>
    kindOf(entry) === "weekdays" &&
    entry.from === from &&
    entry.to === to &&
    String(entry.working ?? "yes").toLowerCase() === "yes";
  const at = entries.findIndex(isAlike);
  if (at < 0) return [...entries, { weekdays: [weekday], from, to }];
  return entries.map((entry, index) => {
    if (index !== at) return entry;
    // the switch takes them in capital letters, too
    const chosen = new Set([...itemsOf(entry.weekdays).map((day) => String(day).toLowerCase()), weekday]);
    return { ...entry, weekdays: WEEKDAYS.filter((each) => chosen.has(each)) };
  });
}

/** The Monday of the week of a day, both such as 2026-12-31. */
export function mondayOf(day: string): string {
  const at = new Date(`${day}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() - ((at.getUTCDay() + 6) % 7));
  return at.toISOString().slice(0, 10);
}
