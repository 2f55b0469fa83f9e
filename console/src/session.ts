/** Who looks, and what that person may do. */

import { type Query, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { isOfSession, SESSION } from "./api/again";
import { endSession, type Session } from "./api/client";
import { setUntold } from "./api/untold";
import { forgetHistory } from "./parts/figures";

/** A person that has logged in, and the operations that it may do, such as `GET /cdrs/{call_id}`. */
export interface Person extends Session {
  may: ReadonlySet<string>;
  /** Whether it acts for a customer, which no account is below. */
  isCustomer: boolean;
}

export const SessionContext = createContext<Person | null>(null);

/** The person that has logged in; null before the log-in. */
export const usePerson = (): Person | null => useContext(SessionContext);

/** The person that has logged in. */
export function useSession(): Person {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no one has logged in");
  return session;
}

/** Whether the person is an agent or a customer; false before the log-in. */
export const useIsOfAccount = (): boolean => Boolean(usePerson()?.account);

/** Whether the person may do an operation of the API. */
export function useMay(operation: string): boolean {
  return useSession().may.has(operation);
}

/** What waits for the person of the page to log in again. */
export const waiting: (() => void)[] = [];

/** End the session, and forget all that was read in it. Where the session goes on, the promise fails. */
export function useLogOut(): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    await endSession();
    forgetAll(queries);
  };
}

/** Forget all that was read in a session, also in one that has ended by itself: another person may log in next. */
export function forgetAll(queries: QueryClient): void {
  forgetHistory();
  setUntold("");
  waiting.length = 0;
  // `clear` would take the session's own entry from under the gate, which then shows the page on
  queries.setQueryData(SESSION, null);
  queries.removeQueries({ predicate: isOfPages });
}

export const isOfPages = (query: Query) => !isOfSession(query);
