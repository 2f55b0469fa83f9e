/** How often the person of the page has logged in again. */

import { createContext, useContext } from "react";

export const Renewals = createContext(0);

/** The number of times that the session has been renewed since the page was loaded. */
export const useRenewals = () => useContext(Renewals);
