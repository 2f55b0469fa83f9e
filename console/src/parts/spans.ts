/** Figures of reports over time, and what may be added up of them. */

import type { Row } from "../api/client";
import { localMinute } from "../format";

/** A figure of a report, with its kind as the report says it. */
export interface Figure {
  name: string;
  kind: string;
}

/** A line of a figure by span, in the order of the spans; money has a line for each currency. */
export interface Line {
  currency: string;
  points: [string, number][];
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
export function linesOf(rows: readonly Row[], figure: Figure): Line[] | null {
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
    points: [...line].sort(([one], [other]) => one.localeCompare(other)),
  }));
}

/** The beginning of a span in few characters, in the viewer's zone where it is shorter than a day. */
export function spanWords(span: string): string {
  return span.includes("T") ? localMinute(span).slice(YEAR_CHARACTERS).replace("T", " ") : span;
}
