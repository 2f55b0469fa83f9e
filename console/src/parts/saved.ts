/** Views that are kept by name: a search, or a report. */

import type { Narrowing } from "../router";

export interface Saved {
  name: string;
  search: Narrowing;
}

/** Return the views with one of them replaced, taken away where it has no search, or put at a place. */
export function put(saved: readonly Saved[], name: string, search: Narrowing | undefined, at?: number): Saved[] {
  const others = saved.filter((each) => each.name !== name);
  if (!search) return others;
  const place = at ?? others.length;
  return [...others.slice(0, place), { name, search }, ...others.slice(place)];
}
