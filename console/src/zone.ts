/** The zone in which times are shown: the browser's, or the one that the person has chosen in this browser. */

import { useSyncExternalStore } from "react";
import { keep, recall } from "./kept";

const KEPT = "vosd.zone";
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

const watchers = new Set<() => void>();

let chosen: string | undefined;

/** Take the zone that was chosen in this browser before. */
export function beginZone(): void {
  const kept = recall(KEPT) ?? "";
  chosen = isZone(kept) ? kept : undefined;
}

/** The chosen zone, such as `Asia/Shanghai`; none where the browser's holds. */
export function chosenZone(): string | undefined {
  return chosen;
}

/** Choose a zone and remember it; nothing for the browser's. */
export function chooseZone(zone: string | undefined): void {
  chosen = zone;
  keep(KEPT, zone ?? null);
  for (const watcher of watchers) watcher();
}

/** The chosen zone; what is drawn with it is drawn again when another is chosen. */
export function useZone(): string | undefined {
  return useSyncExternalStore(watch, chosenZone);
}

/** All zones that the browser knows, UTC first. */
export function zones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((name) => name !== "UTC")];
}

const clocks = new Map<string | undefined, Intl.DateTimeFormat>();

/** The clock of a zone, made once: making one costs a hundred times what using it costs. */
function clockOf(zone: string | undefined): Intl.DateTimeFormat {
  let found = clocks.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    clocks.set(zone, found);
  }
  return found;
}

/** The zone's name, also where it is the browser's: reports are asked for in it, and pages with days in each drawing. */
export const zoneName = (): string => chosen ?? clockOf(undefined).resolvedOptions().timeZone;

/** Milliseconds by which clocks of the zone are ahead of UTC at a moment. */
function offsetOf(at: Date, zone: string | undefined): number {
  const parts = clockOf(zone).formatToParts(at);
  const part = (type: string) => Number(parts.find((each) => each.type === type)?.value);
  const shown = new Date(0);
  shown.setUTCFullYear(part("year"), part("month") - 1, part("day")); // Date.UTC takes the years to 99 for those of 1900
  shown.setUTCHours(part("hour"), part("minute"), part("second"));
  return shown.getTime() - Math.floor(at.getTime() / SECOND_MS) * SECOND_MS;
}

/**
 * The moment at which clocks of the zone show a date and time, such as `2026-03-01T09:05`. Where the clocks show it twice,
 * it is the first or the last one; where they leave it out, the first one behind the gap; an invalid date where the text
 * is no date.
 */
export function momentAt(shown: string, zone: string | undefined, which: "first" | "last" = "first"): Date {
  const asUtc = Date.parse(`${shown}${shown.length > 10 ? "" : "T00:00"}Z`);
  if (Number.isNaN(asUtc)) return new Date(Number.NaN);
  // beside a change of the clocks the offset is that of before or of behind it
  const near = [asUtc - DAY_MS, asUtc + DAY_MS].map((at) => asUtc - offsetOf(new Date(at), zone)).sort((a, b) => a - b);
  const found = near.filter((at) => at + offsetOf(new Date(at), zone) === asUtc).at(which === "first" ? 0 : -1);
  if (found !== undefined) return new Date(found);
  let [before, after] = near as [number, number];
  const offset = offsetOf(new Date(before), zone);
  while (after - before > SECOND_MS) {
    const middle = before + Math.floor((after - before) / 2 / SECOND_MS) * SECOND_MS;
    if (offsetOf(new Date(middle), zone) === offset) before = middle;
    else after = middle;
  }
  return new Date(after);
}

/** Such as `UTC+02:00`, where clocks of the zone show the same date and time at another moment, too. */
export function repeatedOffset(at: Date, zone: string | undefined): string | undefined {
  if (Number.isNaN(at.getTime())) return undefined;
  // tables ask it of each of their moments, and clocks change twice a year
  const [before, behind] = [-DAY_MS, DAY_MS].map((way) => offsetOf(new Date(at.getTime() + way), zone));
  if (before === behind) return undefined;
  const shown = clockAt(at, zone);
  return momentAt(shown, zone) < momentAt(shown, zone, "last") ? offsetText(at, zone) : undefined;
}

/** The date and time that clocks of the zone show, to the minute, as an input of a form has it. */
export function clockAt(at: Date, zone: string | undefined): string {
  return secondAt(at, zone).slice(0, 16);
}

/** The date and time that clocks of the zone show, to the second. */
export function secondAt(at: Date, zone: string | undefined): string {
  return new Date(at.getTime() + offsetOf(at, zone)).toISOString().slice(0, 19);
}

/** A day so many days later, both such as 2026-12-31. */
export function daysLater(day: string, days: number): string {
  const at = new Date(`${day}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** The month before the present one, by the clock of a zone. */
export function lastMonth(now: Date, zone = chosenZone()): string {
  const [year, month] = clockAt(now, zone).split("-").map(Number) as [number, number];
  return month > 1 ? `${year}-${String(month - 1).padStart(2, "0")}` : `${year - 1}-12`;
}

/** Such as `UTC+05:30`. */
export function offsetText(at: Date, zone: string | undefined): string {
  const minutes = Math.round(offsetOf(at, zone) / MINUTE_MS);
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const size = Math.abs(minutes);
  return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Whether the browser knows a zone of this name. */
export function isZone(name: string | undefined): name is string {
  if (!name) return false;
  try {
    clockOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
