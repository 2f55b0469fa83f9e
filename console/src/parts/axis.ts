/** Axes of charts. */

import type uPlot from "uplot";
import { amount } from "../format";

const FONT = "12px sans-serif";
/** Width of a digit in that font, and a little more. */
const CHARACTER_PX = 7;
const GAP_PX = 12;
const DECIMALS = 8;
const WIDER = 2;
/** Spans between two labels; of hours of many years as well. */
const SPANS_APART = [1, 2, 6, 12, ...Array.from({ length: 12 }, (_, doubled) => 24 * WIDER ** doubled)];

/** An axis in the ink of the chart, which has labels and no lines. */
export const axisIn = (ink: string): uPlot.Axis => ({
  stroke: ink,
  grid: { show: false },
  ticks: { show: false },
  font: FONT,
});

/** The axis of figures, as amounts are written elsewhere, and as wide as they are: a label that is cut is another figure. */
export const figureAxis = (ink: string, least: number): uPlot.Axis => ({
  ...axisIn(ink),
  values: (_chart, splits) => splits.map(figureWords),
  size: (_chart, words) => widthOf(words, least),
});

/** The axis of spans, each at its number; `spacePx` is what a label takes. */
export const spanAxis = (ink: string, spacePx: number, words: (at: number) => string): uPlot.Axis => ({
  ...axisIn(ink),
  space: spacePx,
  incrs: SPANS_APART,
  values: (_chart, splits) => splits.map(words),
});

/** A figure with the digits that money has. */
export const figureWords = (value: number): string => amount(value.toFixed(DECIMALS).replace(/\.?0+$/, ""));

/** The width of an axis that has all of its labels. */
export function widthOf(words: readonly string[] | null, least: number): number {
  const longest = Math.max(0, ...(words ?? []).map((each) => each.length));
  return Math.max(least, longest * CHARACTER_PX + GAP_PX);
}

/** The ends of an axis of figures: nothing is always among them, and they are as far apart as the figures are. */
export function endsOf(low: number | null, high: number | null): [number, number] {
  const [least, most] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  return least === most ? [0, 1] : [least, most];
}

/** The least and the largest figure of a line, for those who do not see it. */
export function extentWords(values: readonly (number | null)[]): string {
  const known = values.filter((each) => each !== null);
  if (known.length === 0) return "–";
  const [least, most] = [Math.min(...known), Math.max(...known)].map(figureWords);
  return `${least} … ${most}`;
}
