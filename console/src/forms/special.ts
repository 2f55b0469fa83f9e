/** Keys that are edited as what they are, in place of a list of sections or names; and which keys come first. */

import type { ComponentType } from "react";
import { EntriesField } from "./entries";
import type { FieldProps } from "./fields";
import { OrderField } from "./order";

interface Special {
  fields: Readonly<Record<string, ComponentType<FieldProps>>>;
  first: readonly string[];
}

export const SPECIAL: Readonly<Record<string, Special>> = {
  accounts: { fields: {}, first: ["type", "rate_group", "overdraft_limit", "currency", "name"] },
  calendars: { fields: { entries: EntriesField }, first: ["timezone", "holidays", "entries"] },
  rate_groups: { fields: {}, first: ["currency", "rates"] },
  reports: { fields: {}, first: ["report", "every", "at", "timezone", "group", "form", "mail"] },
  routing_gateways: { fields: {}, first: ["rate_group", "address", "dynamic", "register", "prefixes"] },
  routing_plans: { fields: { order: OrderField }, first: ["order", "gateways"] },
};
