/** What narrows a view, and the query of an address that says so. */

import { addressed } from "./format";
import { isZone, zoneName } from "./zone";

/** What narrows a view: all of it is text, as in the address. */
export type Narrowing = Record<string, string | undefined>;

export function narrowing(search: Record<string, unknown>): Narrowing {
  const known = Object.entries(search).filter(([, value]) => value !== undefined);
  const zone = String(search.zone);
  const of = isZone(zone) ? zone : zoneName();
  return Object.fromEntries(known.map(([name, value]) => [name, addressed(name, String(value), of)]));
}

/** The query of the address of a view. */
export function queryOf(search: Narrowing): string {
  const known = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(known as [string, string][]).toString();
}

/** What narrows a view by a query; values stay as they are written: a number of a telephone is text. */
export const searchOf = (query: string): Narrowing => Object.fromEntries(new URLSearchParams(query));
