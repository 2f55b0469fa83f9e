/** Reading again behind a change: all that is shown, and the person's rights where the change may have changed them. */

import type { Query, QueryClient } from "@tanstack/react-query";

/** The key under which the session is read, with the operations that its person may do. */
export const SESSION = ["session"];
export const isOfSession = ({ queryKey }: Query): boolean => queryKey[0] === SESSION[0];

const MINUTE_MS = 60_000;
/** Whether what many lists are read for is read again on a return to its window: a minute later, and not before. */
export const isOfMinutesAgo = ({ state }: { state: { dataUpdatedAt: number } }): boolean =>
  Date.now() - state.dataUpdatedAt > MINUTE_MS;

/** Changes of people and of roles, among whom the person of the page may be, and of its own session. */
const OF_RIGHTS = /\/(people|roles|session)(\/|$)/;
let areRightsDue = false;

/** Note the path of a change that was carried out. */
export function noteChange(path: string): void {
  if (OF_RIGHTS.test(path)) areRightsDue = true;
}

/** Read all that is shown again, but not the entries with the key `except`. */
export function readAgain(queries: QueryClient, except?: string): void {
  const isDue = areRightsDue;
  areRightsDue = false;
  const predicate = (query: Query) => query.queryKey[0] !== except && (isDue || !isOfSession(query));
  // a first reading that is under way is of before the change, and would be taken for the one behind it
  for (const query of queries.getQueryCache().findAll({ type: "active", fetchStatus: "fetching", predicate })) {
    if (query.state.data === undefined) void query.cancel({ silent: true });
  }
  void queries.invalidateQueries({ predicate });
}
