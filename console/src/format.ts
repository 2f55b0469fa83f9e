/** Money, times and durations as people read them. Nothing is rounded: amounts stay the text that the API sent. */

import { chosenZone, clockAt, daysLater, momentAt, repeatedOffset, secondAt } from "./zone";

const SECOND_MS = 1_000;
const MINUTE_S = 60;
const HOUR_S = 3_600;
const DATE_CHARACTERS = 10;

/** Group the digits of an amount in threes, and keep each of them. */
export function amount(text: string): string {
  const found = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  if (!found) return text;
  const [, sign = "", whole = "", fraction = ""] = found;
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}${fraction}`;
}

const DECIMALS = 8;
const DECIMALS_SHOWN = 2;

/** An amount in the smallest units that the API has. */
function units(amount: string): bigint {
  const [whole = "", fraction = ""] = amount.split(".");
  return BigInt(whole + fraction.padEnd(DECIMALS, "0"));
}

/** An amount as the API writes it. */
function written(units: bigint): string {
  const digits = String(units < 0 ? -units : units).padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "").padEnd(DECIMALS_SHOWN, "0");
  return `${units < 0 ? "-" : ""}${digits.slice(0, -DECIMALS)}.${fraction}`;
}

/** What is left of an amount when another one is taken from it, to the last digit. */
export const less = (amount: string, taken: string): string => written(units(amount) - units(taken));

/** Amounts added up, to the last digit. */
export const sumOf = (amounts: readonly string[]): string =>
  written(amounts.reduce((sum, each) => sum + units(each), 0n));

/** A duration in seconds as h:mm:ss or m:ss. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / MINUTE_S);
  const rest = `${two(whole % MINUTE_S)}`;
  if (whole < HOUR_S) return `${minutes}:${rest}`;
  return `${Math.floor(whole / HOUR_S)}:${two(minutes % MINUTE_S)}:${rest}`;
}

/**
 * A moment in a zone, the viewer's where none is given, as ISO 8601 writes it; the day is left out where it is today. In
 * an hour that the clocks repeat it says which of the two it is.
 */
export function moment(text: string, now: Date, zone = chosenZone()): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const [day, time = ""] = secondAt(at, zone).split("T");
  const shown = day === clockAt(now, zone).slice(0, DATE_CHARACTERS) ? time : `${day} ${time}`;
  return [shown, repeatedOffset(at, zone)].filter(Boolean).join(" ");
}

/** A moment in UTC, for the hint beside it. */
export function utc(text: string): string {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The beginning of the viewer's day, as the API takes it. */
export function dayBegin(now: Date, zone = chosenZone()): string {
  return momentAt(clockAt(now, zone).slice(0, DATE_CHARACTERS), zone).toISOString();
}

/** A moment as an input of a date and time has it; empty where it is none. */
export function localMinute(text: string | undefined, zone = chosenZone()): string {
  const at = new Date(text ?? "");
  return Number.isNaN(at.getTime()) ? "" : clockAt(at, zone);
}

/** The moment that was entered in an input of a date and time, as the API takes it; none where it is no moment. */
export function enteredMoment(text: string, zone = chosenZone()): string | undefined {
  const at = momentAt(text, zone);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** The end of a span that was entered in such an input: the last moment at which the clocks show it. */
export function enteredEnd(text: string, zone = chosenZone()): string | undefined {
  const at = momentAt(text, zone, "last");
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** The last day of a span by its end, a moment that the span leaves out, as an input of a date has it; empty where it is none. */
export function lastDay(until: string | undefined, zone = chosenZone()): string {
  const end = new Date(until ?? "").getTime();
  return Number.isNaN(end) ? "" : clockAt(new Date(end - 1), zone).slice(0, DATE_CHARACTERS);
}

/** The end of a span whose last day was entered: the beginning of the day after it; none where it is no day. */
export function endOfDay(day: string, zone = chosenZone()): string | undefined {
  return enteredMoment(day, zone) && enteredMoment(daysLater(day, 1), zone);
}

const MOMENTS = new Set(["since", "until", "ended_since", "ended_until", "at"]);
const ENDS = new Set(["until", "ended_until"]);
const WRITTEN = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$/;

/**
 * A field of an address as the API takes it: days and times that a person has written without a zone are those of `zone`.
 * A day is its beginning, or its end where it ends a span. What is no moment stays as it is: the API says what is wrong.
 */
export function addressed(name: string, value: string, zone = chosenZone()): string {
  if (!MOMENTS.has(name) || !WRITTEN.test(value)) return value;
  const written = value.replace(" ", "T");
  const day = written.slice(0, DATE_CHARACTERS);
  if (!enteredMoment(day, "UTC")?.startsWith(day)) return value; // such as February 30th, which is March 2nd to browsers
  const isDay = written === day;
  const found = ENDS.has(name) ? (isDay ? endOfDay : enteredEnd)(written, zone) : enteredMoment(written, zone);
  return found ?? value;
}

/** Whether a day of the zone begins at a moment. */
export function isDayBegin(text: string, zone = chosenZone()): boolean {
  return Date.parse(text) === Date.parse(enteredMoment(localMinute(text, zone).slice(0, DATE_CHARACTERS), zone) ?? "");
}

/** How long ago a moment was, in seconds; never below zero. */
export function age(since: string, now: number): number {
  return Math.max(0, (now - Date.parse(since)) / SECOND_MS);
}

/** What the text of a search names. */
interface Sought {
  to: "call" | "number" | "address" | "sip_call_id" | "name";
  value: string;
}

/** Whether what an address has in the place of a number is one. */
export const isId = (text: string): boolean => /^\d{1,15}$/.test(text);

const CALL = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NUMBER = /^\+?\d[\d *#-]{2,}$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}(:\d+)?$/;
const IPV6 = /^\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\]?(:\d+)?$/i;

/** Tell by its form what a text names: a call, a number, an address, a Call-ID, else the name of something. */
export function searchFor(text: string): Sought {
  const value = text.trim();
  if (CALL.test(value)) return { to: "call", value: value.toLowerCase() };
  if (IPV4.test(value) || IPV6.test(value)) return { to: "address", value };
  if (NUMBER.test(value)) return { to: "number", value: value.replace(/[^\d*#]/g, "") };
  if (/^[^\s@]+@[^\s@]+$/.test(value)) return { to: "sip_call_id", value };
  return { to: "name", value };
}

const SO_FAR_DECIMALS = 4;

/** Prices of a minute for so many seconds, added up by currency, for a figure that says that it is no charge. */
export function costSoFar(calls: readonly { price: string; currency: string; seconds: number }[]): string[] {
  const sums = new Map<string, number>();
  for (const { price, currency, seconds } of calls) {
    sums.set(currency, (sums.get(currency) ?? 0) + (Number(price) * seconds) / MINUTE_S);
  }
  return [...sums].map(([currency, sum]) => `${amount(sum.toFixed(SO_FAR_DECIMALS))} ${currency}`.trimEnd());
}
