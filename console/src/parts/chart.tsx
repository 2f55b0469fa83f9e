import { useEffect, useRef } from "react";
import uPlot from "uplot";

/** A value at a time, in seconds since 1970. */
export type Point = readonly [number, number];

const HEIGHT_PX = 90;
/** Ten minutes. */
const SHOWN_S = 600;

/** A line over time; what it says is in its label for those who do not see it. */
export function TimeChart({ label, points }: { label: string; points: readonly Point[] }) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const ink = getComputedStyle(box).color;
    const axis = { stroke: ink, size: 28, grid: { show: false }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { show: false },
        axes: [axis, { ...axis, size: 44 }],
        scales: {
          x: { range: (_chart, _first, last) => [last - SHOWN_S, last] },
          y: { range: (_chart, _low, high) => [0, Math.max(1, high)] },
        },
        series: [{}, { stroke: ink, width: 1.5, points: { show: false } }],
      },
      [[], []],
      box,
    );
    chart.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
    sized.observe(box);
    return () => {
      sized.disconnect();
      made.destroy();
    };
  }, []);
  useEffect(() => {
    chart.current?.setData([points.map((each) => each[0]), points.map((each) => each[1])]);
  }, [points]);
  const last = points.at(-1)?.[1];
  return <div ref={place} role="img" aria-label={`${label}: ${last ?? "–"}`} className="quiet" />;
}
