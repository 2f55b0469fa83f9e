/** Figures of reports over time, and what may be added up of them. */

import type { Row } from "../api/client";
import { localMinute } from "../format";
import { clockAt, daysLater } from "../zone";

/** A figure of a report, with its kind as the report says it. */
export interface Figure {
  name: string;
  kind: string;
}

/** A line of a figure by span, in the order of the spans; money has a line for each currency. */
export interface Line {
  currency: string;
  /** Null where a span has no value. */
  points: [string, number | null][];
}

/** The spans of a report. */
export interface Spans {
  since?: string;
  until?: string;
  group?: string;
  zone?: string;
}

const MINUTE_MS = 60_000;
/** Spans that are so many minutes long. */
const MINUTES: Record<string, number> = { "5min": 5, hour: 60 };

const OF_VENDORS = new Set(["cost", "cost_tax"]);
const OF_INCOME = new Set(["income", "profit", "loss", "agent_income", "agent_profit"]);
const YEAR_CHARACTERS = 5;
const DAY_CHARACTERS = 10;
const MINUTE_CHARACTERS = 16;
/** Digits that sums of amounts have at least exactly; what a float has beyond them is no money. */
const DIGITS = 12;

/** The currency of an amount of a row: what vendors charge may be in another one than what customers pay. */
export function currencyOf(row: Row, figure: string): string {
  const name = OF_VENDORS.has(figure) ? "vendor_currency" : OF_INCOME.has(figure) ? "income_currency" : "currency";
  return String(row[name] ?? "");
}

/** Whether values of rows can be added up: shares, means and peaks cannot. */
const isSum = ({ name, kind }: Figure) =>
  kind === "money" || name === "minutes" || (kind === "count" && !name.startsWith("peak_"));

/** A figure over time; nothing where spans have several rows whose values cannot be added up. */
export function linesOf(rows: readonly Row[], figure: Figure, spans: Spans = {}): Line[] | null {
  const all = allSpans(spans, rows);
  const lines = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const value = row[figure.name] ?? Number.NaN;
    if (!Number.isFinite(Number(value))) continue;
    const currency = figure.kind === "money" ? currencyOf(row, figure.name) : "";
    const line = lines.get(currency) ?? new Map<string, number>();
    lines.set(currency, line);
    const span = String(row.span ?? "");
    const before = line.get(span);
    if (before !== undefined && !isSum(figure)) return null;
    line.set(span, Number(((before ?? 0) + Number(value)).toPrecision(DIGITS)));
  }
  return [...lines].map(([currency, line]) => ({
    currency,
    // a report has no row of a span without calls: sums are nothing then, and what is no sum is not known
    points: [...new Set([...all, ...line.keys()])]
      .sort((one, other) => Date.parse(one) - Date.parse(other) || one.localeCompare(other))
      .map((span) => [span, line.get(span) ?? (isSum(figure) ? 0 : null)]),
  }));
}

/** The spans of a report from its beginning to its end, or to now, also those without rows; none of weeks and months. */
function allSpans({ since = "", until = "", group = "", zone }: Spans, rows: readonly Row[]): string[] {
  const begin = Date.parse(since);
  const end = Math.min(Date.parse(until), Date.now());
  const step = (MINUTES[group] ?? 0) * MINUTE_MS;
  const texts = rows.map((row) => String(row.span ?? ""));
  const found: string[] = [];
  if (step > 0) {
    const named = new Map(texts.map((text) => [Date.parse(text), text]));
    const [some = Number.NaN] = named.keys();
    // spans begin so that those of the rows are among them
    for (let at = some - Math.floor((some - begin) / step) * step; at < end; at += step)
      found.push(named.get(at) ?? `${new Date(at).toISOString().slice(0, MINUTE_CHARACTERS)}+0000`);
  } else if (group === "day" && begin < end) {
    const last = clockAt(new Date(end - 1), zone).slice(0, DAY_CHARACTERS);
    for (let day = clockAt(new Date(begin), zone).slice(0, DAY_CHARACTERS); day <= last; day = daysLater(day, 1))
      found.push(day);
  }
  return found;
}

/** The beginning of a span in few characters, in the viewer's zone where it is shorter than a day. */
export function spanWords(span: string): string {
  return span.includes("T") ? localMinute(span).slice(YEAR_CHARACTERS).replace("T", " ") : span;
}
