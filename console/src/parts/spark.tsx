import { type Point, SHOWN_S } from "./figures";

const WIDTH = 96;
const HEIGHT = 20;

/** A small line over the last ten minutes; the highest value is its top. */
export function Spark({ label, points }: { label: string; points: readonly Point[] }) {
  const last = points.at(-1);
  if (!last) return null;
  const top = Math.max(1, ...points.map(([, value]) => value ?? 0));
  const x = (at: number) => WIDTH - ((last[0] - at) / SHOWN_S) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (value / top) * (HEIGHT - 2);
  // the line is broken where nothing was read
  const step = ([at, value]: Point, index: number) =>
    value === null
      ? ""
      : `${(points[index - 1]?.[1] ?? null) === null ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`${label}: ${last[1]}`} className="quiet">
      <path d={points.map(step).join("")} fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}
