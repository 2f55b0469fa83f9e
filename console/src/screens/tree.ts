/** Accounts as a tree: agents with the accounts below them. */

import type { Row } from "../api/client";

export interface Branch {
  row: Row;
  below: readonly Branch[];
  /** Accounts below it, at any depth. */
  count: number;
  /** Agents above it. */
  depth: number;
}

/** The accounts without an agent that is seen, each with those below. */
export function treeOf(rows: readonly Row[]): readonly Branch[] {
  const below = new Map<string, Row[]>([["", []]]);
  for (const row of rows) below.set(String(row.id), []);
  for (const row of rows) (below.get(String(row.agent)) ?? below.get(""))?.push(row);
  const branches = (agent: string, depth: number): readonly Branch[] =>
    (below.get(agent) ?? []).map((row) => {
      const inner = branches(String(row.id), depth + 1);
      return { row, below: inner, count: inner.reduce((sum, each) => sum + 1 + each.count, 0), depth };
    });
  return branches("", 0);
}

/** Branches as they stand below each other: those that are open have theirs behind them. */
export function* opened(
  branches: readonly Branch[],
  isOpen: (branch: Branch) => boolean,
): Generator<Branch, void, undefined> {
  for (const branch of branches) {
    yield branch;
    if (isOpen(branch)) yield* opened(branch.below, isOpen);
  }
}

/** Names that a part of an address lists, a line each: no name has several, and any other text is one. */
export function namesIn(text: string | undefined): Set<string> {
  return new Set(text ? text.split("\n") : []);
}

/** The part of an address that lists names; nothing where there are none. */
export function namesTo(names: ReadonlySet<string>): string | undefined {
  return names.size > 0 ? [...names].join("\n") : undefined;
}
