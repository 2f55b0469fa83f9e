/** Accounts as a tree: agents with the accounts below them. */

import type { Row } from "../api/client";

export interface Branch {
  row: Row;
  below: readonly Branch[];
  /** Accounts below it, at any depth. */
  count: number;
}

/** The accounts without an agent that is seen, each with those below. */
export function treeOf(rows: readonly Row[]): readonly Branch[] {
  const below = new Map<string, Row[]>();
  const known = new Set(rows.map((row) => String(row.id)));
  for (const row of rows) {
    const agent = known.has(String(row.agent)) ? String(row.agent) : "";
    below.set(agent, [...(below.get(agent) ?? []), row]);
  }
  const branch = (row: Row): Branch => {
    const inner = (below.get(String(row.id)) ?? []).map(branch);
    return { row, below: inner, count: inner.reduce((sum, each) => sum + 1 + each.count, 0) };
  };
  return (below.get("") ?? []).map(branch);
}

/** Names that a part of an address lists, a line each: no name has several, and any other text is one. */
export function namesIn(text: string | undefined): Set<string> {
  return new Set(text ? text.split("\n") : []);
}

/** The part of an address that lists names; nothing where there are none. */
export function namesTo(names: ReadonlySet<string>): string | undefined {
  return names.size > 0 ? [...names].join("\n") : undefined;
}
