/** A figure of a report as a line over time, or as bars of its rows. */

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { Row } from "../api/client";
import { amount } from "../format";
import { useTranslation } from "../text/translation";
import { endsOf, extentWords, figureAxis, spanAxis } from "./axis";
import { barsOf, type Figure, type Line, linesOf, type Spans, spanWords } from "./spans";

const HEIGHT_PX = 180;
const BARS_MAX = 20;
const LABEL_PX = 100;
const FIGURE_PX = 64;

/** A figure of a report over time: a line for each currency, or bars where it cannot be added up. */
export function OverTime(props: {
  label: string;
  rows: readonly Row[];
  figure: Figure;
  spans: Spans;
  /** What a row is, beside its span. */
  words: (row: Row) => string;
}) {
  const { label, rows, figure, spans } = props;
  const lines = linesOf(rows, figure, spans);
  if (!lines) {
    const words = (row: Row) => [spanWords(String(row.span ?? "")), props.words(row)].filter(Boolean).join(" ");
    return <Bars rows={rows} figure={figure} label={words} />;
  }
  return lines.map(({ currency, points }) => (
    <SpanChart key={currency} label={`${label} ${currency}`.trim()} points={points} />
  ));
}

function SpanChart({ label, points }: { label: string; points: Line["points"] }) {
  const place = useRef<HTMLDivElement>(null);
  const colours = useComputedColorScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the ink is that of the colours at the moment
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const ink = getComputedStyle(box).color;
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT_PX,
        legend: { show: false },
        padding: [null, LABEL_PX / 2, null, null], // the last label stands below the end of the line
        axes: [spanAxis(ink, LABEL_PX, (at) => spanWords(points[at]?.[0] ?? "")), figureAxis(ink, FIGURE_PX)],
        scales: { x: { time: false }, y: { range: (_chart, low, high) => endsOf(low, high) } },
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
  const extent = extentWords(points.map(([, value]) => value));
  return (
    <figure className="chart quiet">
      <figcaption>{label}</figcaption>
      <div ref={place} role="img" aria-label={`${label}: ${extent}`} />
    </figure>
  );
}

/** The rows with the largest figures, for each currency; what each is, and its figure as it was booked. */
export function Bars(props: { rows: readonly Row[]; figure: Figure; label: (row: Row) => string }) {
  const { t } = useTranslation();
  const found = barsOf(props.rows, props.figure, props.label);
  return found.map(({ currency, bars }) => {
    const shown = bars.slice(0, BARS_MAX);
    const highest = Math.max(Number.MIN_VALUE, ...shown.map(({ value }) => Math.abs(Number(value))));
    return (
      <div key={currency}>
        {found.length > 1 && <span className="quiet">{currency}</span>}
        <ul className="bars" aria-label={currency || undefined}>
          {shown.map(({ words, value }, index) => (
            <li key={index}>
              <span>{words}</span>
              <svg width="100%" height="12" aria-hidden="true">
                <rect
                  width={`${(100 * Math.abs(Number(value))) / highest}%`}
                  height="12"
                  className={Number(value) < 0 ? "bar-bad" : "bar-good"}
                />
              </svg>
              <span className="end">
                {amount(value)} {currency}
              </span>
            </li>
          ))}
        </ul>
        {bars.length > shown.length && (
          <span className="quiet">{t("reports.bars", { shown: shown.length, count: bars.length })}</span>
        )}
      </div>
    );
  });
}
