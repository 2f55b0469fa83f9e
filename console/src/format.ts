/** Money, times and durations as people read them. Nothing is rounded: amounts stay the text that the API sent. */

const SECOND_MS = 1_000;
const MINUTE_S = 60;
const HOUR_S = 3_600;

/** Group the digits of an amount in threes, and keep each of them. */
export function amount(text: string): string {
  const found = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  if (!found) return text;
  const [, sign = "", whole = "", fraction = ""] = found;
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}${fraction}`;
}

/** A duration in seconds as h:mm:ss or m:ss. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / MINUTE_S);
  const rest = `${two(whole % MINUTE_S)}`;
  if (whole < HOUR_S) return `${minutes}:${rest}`;
  return `${Math.floor(whole / HOUR_S)}:${two(minutes % MINUTE_S)}:${rest}`;
}

/** A moment in the zone of the viewer; the day is left out where it is today. */
export function moment(text: string, now: Date, language: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false } as const;
  const isToday = at.toDateString() === now.toDateString();
  const day = isToday ? {} : ({ year: "numeric", month: "2-digit", day: "2-digit" } as const);
  return new Intl.DateTimeFormat(language, { ...day, ...time }).format(at);
}

/** A moment in UTC, for the hint beside it. */
export function utc(text: string): string {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The beginning of the viewer's day, as the API takes it. */
export function dayBegin(now: Date): string {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate()).toISOString();
}

/** A moment as an input of a local date and time has it; empty where it is none. */
export function localMinute(text: string | undefined): string {
  const at = new Date(text ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE_S * SECOND_MS).toISOString().slice(0, 16);
}

/** How long ago a moment was, in seconds; never below zero. */
export function age(since: string, now: number): number {
  return Math.max(0, (now - Date.parse(since)) / SECOND_MS);
}

/** What a search box was given: where to look for it. */
export function searchFor(text: string): { to: "call" | "callee" | "anything"; value: string } {
  const value = text.trim();
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return { to: "call", value: value.toLowerCase() };
  if (/^\+?\d[\d *#-]{2,}$/.test(value)) return { to: "callee", value: value.replace(/[^\d*#]/g, "") };
  return { to: "anything", value };
}
