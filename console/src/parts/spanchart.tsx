/** A figure of a report as a line over time, or as bars of its rows. */

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { Row } from "../api/client";
import { amount, localMinute } from "../format";

const HEIGHT_PX = 180;
const BARS_MAX = 20;
const LABEL_PX = 100;
const YEAR_CHARACTERS = 5;

/** Sums of a figure by span, in the order of the spans. */
export function bySpan(rows: readonly Row[], figure: string): [string, number][] {
  const found = new Map<string, number>();
  for (const row of rows) {
    const span = String(row.span ?? "");
    const value = Number(row[figure] ?? 0);
    if (Number.isFinite(value)) found.set(span, (found.get(span) ?? 0) + value);
  }
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}

/** The beginning of a span in few characters, in the viewer's zone where it is shorter than a day. */
export function spanWords(span: string): string {
  return span.includes("T") ? localMinute(span).slice(YEAR_CHARACTERS).replace("T", " ") : span;
}

export function SpanChart({ label, points }: { label: string; points: readonly (readonly [string, number])[] }) {
  const place = useRef<HTMLDivElement>(null);
  const colours = useComputedColorScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the ink is that of the colours at the moment
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const ink = getComputedStyle(box).color;
    const axis = { stroke: ink, grid: { show: false }, ticks: { show: false }, font: "12px sans-serif" };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT_PX,
        legend: { show: false },
        axes: [
          {
            ...axis,
            space: LABEL_PX,
            incrs: [1, 2, 6, 12, 24, 48],
            values: (_chart, splits) => splits.map((at) => spanWords(points[at]?.[0] ?? "")),
          },
          { ...axis, size: 64 },
        ],
        scales: { x: { time: false }, y: { range: (_chart, low, high) => [Math.min(0, low), Math.max(1, high)] } },
        series: [{}, { stroke: ink, width: 1.5, points: { show: points.length < 2 * BARS_MAX } }],
      },
      [points.map((_, at) => at), points.map(([, value]) => value)],
      box,
    );
    const sized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
    sized.observe(box);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, [points, colours]);
  const highest = points.reduce((high, [, value]) => Math.max(high, value), 0);
  return <div ref={place} role="img" aria-label={`${label}: ≤ ${highest}`} className="quiet" />;
}

/** The rows with the largest figures; what each is, and its figure as it was booked. */
export function Bars({ rows, figure, label }: { rows: readonly Row[]; figure: string; label: (row: Row) => string }) {
  const shown = [...rows]
    .filter((row) => Number.isFinite(Number(row[figure])) && row[figure] !== null)
    .sort((one, other) => Math.abs(Number(other[figure])) - Math.abs(Number(one[figure])))
    .slice(0, BARS_MAX);
  const highest = Math.max(Number.MIN_VALUE, ...shown.map((row) => Math.abs(Number(row[figure]))));
  return (
    <ul className="bars">
      {shown.map((row, index) => (
        <li key={index}>
          <span>{label(row)}</span>
          <svg width="100%" height="12" aria-hidden="true">
            <rect
              width={`${(100 * Math.abs(Number(row[figure]))) / highest}%`}
              height="12"
              className={Number(row[figure]) < 0 ? "bar-bad" : "bar-good"}
            />
          </svg>
          <span className="end">{amount(String(row[figure]))}</span>
        </li>
      ))}
    </ul>
  );
}
