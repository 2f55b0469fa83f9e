import { type Point, SHOWN_S } from "./figures";

const WIDTH = 96;
const HEIGHT = 20;

/** A small line over the last ten minutes; the highest value is its top. */
export function Spark({ label, points }: { label: string; points: readonly Point[] }) {
  const last = points.at(-1);
  if (!last) return null;
  const top = Math.max(1, ...points.map(([, value]) => value));
  const x = (at: number) => WIDTH - ((last[0] - at) / SHOWN_S) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (value / top) * (HEIGHT - 2);
  const line = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`${label}: ${last[1]}`} className="quiet">
      <polyline points={line} fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}
