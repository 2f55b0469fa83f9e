/** How a gateway stands, in the few words of the overview; its state says why. */

import type { Row } from "../api/client";

export const STANDINGS = ["up", "full", "resting", "down", "blocked", "disabled"] as const;
type Standing = (typeof STANDINGS)[number];

const OF_STATE: Record<string, Standing> = {
  up: "up",
  registered: "up",
  resting: "resting",
  blocked: "blocked",
  disabled: "disabled",
};

/** Tell how a row of `GET /gateways/quality` stands; one that has as many calls as it may is full. */
export function standingOf(row: Row): Standing {
  const standing = OF_STATE[String(row.state)] ?? "down";
  const limit = typeof row.max_concurrent === "number" ? row.max_concurrent : Number.POSITIVE_INFINITY;
  return standing === "up" && Number(row.calls ?? 0) >= limit ? "full" : standing;
}
