/** Figures of reports over time, and what may be added up of them. */

import type { Row } from "../api/client";
import { localMinute, sumOf } from "../format";
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

/** Bars of rows in one currency, the largest first; no currency where the figure is no money. */
export interface BarsIn {
  currency: string;
  bars: { words: string; value: string }[];
}

/** A figure of rows as bars. Rows of the same words are one bar, or say their currencies where they cannot be added up. */
export function barsOf(rows: readonly Row[], figure: Figure, words: (row: Row) => string): BarsIn[] {
  const isMoney = figure.kind === "money";
  const wanted = rows.filter(({ [figure.name]: value }) => Number.isFinite(Number(value ?? Number.NaN)));
  const perWords = new Map<string, number>();
  for (const row of wanted) perWords.set(words(row), (perWords.get(words(row)) ?? 0) + 1);
  const named = (row: Row) =>
    isSum(figure) || perWords.get(words(row)) === 1 ? words(row) : `${words(row)} ${currenciesOf(row)}`.trim();
  const found = new Map<string, Map<string, string[]>>();
  for (const row of wanted) {
    const currency = isMoney ? currencyOf(row, figure.name) : "";
    const bars = found.get(currency) ?? new Map<string, string[]>();
    found.set(currency, bars);
    const values = bars.get(named(row)) ?? [];
    bars.set(named(row), values);
    values.push(String(row[figure.name]));
  }
  return [...found].map(([currency, bars]) => ({
    currency,
    bars: [...bars]
      .flatMap(([words, values]) =>
        (isSum(figure) ? [added(values, isMoney)] : values).map((value) => ({ words, value })),
      )
      .sort((one, other) => Math.abs(Number(other.value)) - Math.abs(Number(one.value))),
  }));
}

function added(values: readonly string[], isMoney: boolean): string {
  const [only = ""] = values;
  if (values.length === 1) return only;
  if (isMoney) return sumOf(values);
  return String(Number(values.reduce((sum, value) => sum + Number(value), 0).toPrecision(DIGITS)));
}

/** An amount of rows added up in each currency. */
export const moneyOf = (rows: readonly Row[], name: string): { currency: string; value: string }[] =>
  barsOf(rows, { name, kind: "money" }, () => "").flatMap(({ currency, bars }) =>
    bars.map(({ value }) => ({ currency, value })),
  );

/** Whether the name of a column of a report is that of a currency. */
export const isCurrency = (name: string): boolean => name.endsWith("currency");

const currenciesOf = (row: Row): string =>
  Object.keys(row)
    .filter(isCurrency)
    .map((name) => row[name])
    .filter(Boolean)
    .join("/");

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
