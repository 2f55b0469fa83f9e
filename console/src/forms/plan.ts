/** Routing plans: their criteria, and the gateways that they choose. */

import type { Row } from "../api/client";

const listed = (sheet: Row | undefined, name: string) => (sheet?.[name] ?? []) as Row[];

/** Criteria by which gateways take turns: nothing is equal behind them, so they are the last. */
const OF_TURNS = new Set(["weight", "round_robin"]);

/** An order with one more criterion, before the one of which turns are taken. */
export function withCriterion(order: readonly string[], added: string): string[] {
  const last = order.at(-1) ?? "";
  return OF_TURNS.has(last) ? [...order.slice(0, -1), added, last] : [...order, added];
}

/** Gateways of a plan in their order, then those that it leaves out, each with its place of now. */
export function planRows(then: Row, now: Row | undefined): Row[] {
  const places = new Map<unknown, unknown>();
  for (const each of listed(now, "candidates")) {
    if (!places.has(each.routing_gateway)) places.set(each.routing_gateway, each.position);
  }
  return [...listed(then, "candidates"), ...listed(then, "left")].map((each) => ({
    ...each,
    position_now: places.get(each.routing_gateway) ?? null,
  }));
}
