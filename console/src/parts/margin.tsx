/** The column of what is left of the price of a call. */

import type { Column } from "./table";
import { Money } from "./values";

/** Margins of gateways in the customer's `currency`, whatever their vendors are paid in. */
export const marginIn = (currency: unknown): Column => ({
  name: "margin",
  kind: "money",
  show: (row) => <Money value={row.margin} currency={currency} />,
});
