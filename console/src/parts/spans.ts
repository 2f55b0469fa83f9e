/** Figures of reports over time, and what may be added up of them. */

import type { Row } from "../api/client";
import { localMinute, sumOf } from "../format";
import { chosenZone, repeatedOffset } from "../zone";

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

/** A span of a report, by its beginning as rows have it. */
export interface ReportSpan {
  span: string;
  since: string;
  until: string;
}

/** The time of a report, and the spans into which it is divided, also those without rows. */
export interface Spans {
  since?: string;
  until?: string;
  spans?: readonly ReportSpan[];
}

const OF_VENDORS = new Set(["cost", "cost_tax"]);
const OF_INCOME = new Set(["income", "profit", "loss", "agent_income", "agent_profit"]);
const YEAR_CHARACTERS = 5;
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
  const begun = (spans.spans ?? []).filter((each) => Date.parse(each.since) < Date.now()).map((each) => each.span);
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
    points: [...new Set([...begun, ...line.keys()])]
      .sort((one, other) => Date.parse(one) - Date.parse(other) || one.localeCompare(other))
      .map((span) => [span, line.get(span) ?? (isSum(figure) ? 0 : null)]),
  }));
}

/** Bars of rows in one currency, the largest first; no currency where the figure is no money. */
interface BarsIn {
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

/**
 * An amount of rows added up in each currency; none where a row of the currency has no such amount, as the profit of
 * calls whose cost is in another one: the sum would be that of the other calls alone. Calls that brought nothing may
 * have no currency.
 */
export function moneyOf(rows: readonly Row[], name: string): { currency: string; value: string }[] {
  const partly = new Set(rows.filter((row) => row[name] === null).map((row) => currencyOf(row, name)));
  return barsOf(rows, { name, kind: "money" }, () => "")
    .filter(({ currency }) => currency && !partly.has(currency))
    .flatMap(({ currency, bars }) => bars.map(({ value }) => ({ currency, value })));
}

/** Whether the name of a column of a report is that of a currency. */
export const isCurrency = (name: string): boolean => name.endsWith("currency");

const currenciesOf = (row: Row): string =>
  Object.keys(row)
    .filter(isCurrency)
    .map((name) => row[name])
    .filter(Boolean)
    .join("/");

/** The beginning of a span in few characters, in a zone (the viewer's) where it is shorter than a day. */
export function spanWords(span: string, zone = chosenZone()): string {
  if (!span.includes("T")) return span;
  const minute = localMinute(span, zone).slice(YEAR_CHARACTERS).replace("T", " ");
  return [minute, repeatedOffset(new Date(span), zone)].filter(Boolean).join(" ");
}
