import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { clockAt, useZone } from "../zone";
import { axisIn, figureAxis } from "./axis";
import { type Point, SHOWN_S } from "./figures";

const HEIGHT_PX = 96;
const AXIS_PX = 24;
const FIGURE_PX = 44;
const SPLITS_PX = 90;
const SHORTEST_S = 60;
/** Of hours and minutes at the end of a date and time. */
const CLOCK_CHARACTERS = 5;

/** A line over time, below its label; its last figure is said to those who do not see it. */
export function TimeChart({ label, points }: { label: string; points: readonly Point[] }) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const zone = useZone();
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
        cursor: { show: false },
        axes: [
          {
            ...axisIn(ink),
            size: AXIS_PX,
            space: SPLITS_PX,
            incrs: [60, 120, 300],
            values: (_chart, splits) =>
              splits.map((at) => clockAt(new Date(at * 1_000), zone).slice(-CLOCK_CHARACTERS)),
          },
          figureAxis(ink, FIGURE_PX),
        ],
        scales: {
          // it grows until it has ten minutes
          x: { range: (_chart, first, last) => [Math.max(last - SHOWN_S, Math.min(first, last - SHORTEST_S)), last] },
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
  }, [zone, colours]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart that was made again has to be filled, too
  useEffect(() => {
    chart.current?.setData([points.map((each) => each[0]), points.map((each) => each[1])]);
  }, [points, zone, colours]);
  const last = points.at(-1)?.[1];
  return (
    <figure className="chart quiet">
      <figcaption>{label}</figcaption>
      <div ref={place} role="img" aria-label={`${label}: ${last ?? "–"}`} />
    </figure>
  );
}
