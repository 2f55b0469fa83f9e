/** The places of the console, and which of them a person may open. */

import { type List, lists } from "./screens/columns";

/** Of a person what decides which places it may open: its operations, and the account of an agent or a customer. */
interface Opener {
  may: ReadonlySet<string>;
  account: string | null;
  isCustomer: boolean;
}

/** A page that the navigation leads to. */
export interface Place {
  name: string;
  /** Key of its text, where that is not the one of `nav` with its name. */
  text?: string;
  to: string;
  /** The operation that it is made of. */
  needs: string;
  isForOperators?: boolean;
  /** Whether it is the page of an agent or a customer about itself. */
  isOfAccount?: boolean;
  /** Whether it is about accounts below others, of which customers have none. */
  isOfTree?: boolean;
}

function list(name: keyof typeof lists): Place {
  const { path, isForOperators }: List = lists[name];
  return { name, to: `/lists/${name}`, needs: `GET ${path}`, isForOperators };
}

/** Kinds of objects; accounts are behind the list with their money. Those that agents do not have are for operators. */
const KINDS = [
  "mapping_gateways",
  "phones",
  "routing_gateways",
  "rate_groups",
  "routing_plans",
  "calendars",
  "number_lists",
  "number_pools",
  "dids",
  "address_groups",
  "gateway_groups",
  "templates",
];
const OF_AGENTS = new Set(["mapping_gateways", "phones"]);

function objects(kind: string): Place {
  const needs = `GET /${kind.replaceAll("_", "-")}`;
  return { name: kind, text: `kind.${kind}`, to: `/objects/${kind}`, needs, isForOperators: !OF_AGENTS.has(kind) };
}

const GROUPS: readonly (readonly [string, readonly Place[]])[] = [
  [
    "traffic",
    [
      { name: "overview", to: "/", needs: "GET /status", isForOperators: true },
      { name: "portal", to: "/", needs: "GET /accounts/{account}/balance", isOfAccount: true },
      { name: "calls", to: "/calls", needs: "GET /calls" },
      { name: "cdrs", to: "/cdrs", needs: "GET /cdrs" },
      { name: "try", to: "/try", needs: "POST /routes/explain" },
      { name: "trace", to: "/trace", needs: "GET /calls/trace" },
      { name: "reports", to: "/reports", needs: "GET /reports/{name}" },
      list("scheduled"),
    ],
  ],
  [
    "money",
    [
      { name: "customers", to: "/accounts", needs: "GET /balances" },
      { name: "tariffs", to: "/rates", needs: "GET /rates/groups" },
      { name: "agents", to: "/agents", needs: "GET /balances", isOfTree: true },
      list("ledger"),
      { name: "invoices", to: "/invoices", needs: "GET /invoices" },
      { name: "payments", to: "/payments", needs: "GET /payments" },
      { name: "months", to: "/months", needs: "GET /statements/{month}" },
      { name: "bills", to: "/bills", needs: "GET /reconciliations" },
    ],
  ],
  [
    "state",
    [
      { name: "gateways", to: "/gateways", needs: "GET /gateways/quality" },
      { name: "compare", to: "/compare", needs: "GET /gateways/quality" },
      { name: "alarms", to: "/alarms", needs: "GET /alarms" },
      list("registrations"),
      list("overrides"),
      list("blacklist"),
      list("sources"),
    ],
  ],
  ["definitions", KINDS.map(objects)],
  [
    "installation",
    [
      { name: "health", to: "/health", needs: "POST /configuration/check" },
      { name: "changes", to: "/changes", needs: "GET /audit" },
      list("audit"),
      list("jobs"),
      list("people"),
      list("roles"),
      list("tokens"),
      { name: "parameters", to: "/parameters", needs: "GET /parameters" },
      list("parameter_versions"),
      list("backups"),
    ],
  ],
];

/** Keys of one letter, each with the name of its place; `o` leads to the first place of the person. */
const KEYS: readonly (readonly [string, string])[] = [
  ["c", "calls"],
  ["r", "cdrs"],
  ["a", "customers"],
  ["g", "gateways"],
  ["l", "alarms"],
];

/** Verbs of the terminal, which sentences of the server name, each with the place that does the same. */
const VERBS: Readonly<Record<string, string>> = {
  account: "customers",
  alarms: "alarms",
  audit: "audit",
  blacklist: "blacklist",
  calls: "calls",
  cdr: "cdrs",
  check: "health",
  did: "dids",
  gateway: "gateways",
  invoice: "invoices",
  jobs: "jobs",
  ledger: "ledger",
  month: "months",
  overrides: "overrides",
  parameters: "parameters",
  payment: "payments",
  rates: "tariffs",
  reconcile: "bills",
  registrations: "registrations",
  reload: "health",
  report: "reports",
  route: "try",
  status: "overview",
  token: "tokens",
  trace: "trace",
  unblock: "sources",
  user: "people",
};

const isOpen = (place: Place, { may, account, isCustomer }: Opener): boolean =>
  may.has(place.needs) && !(account ? place.isForOperators : place.isOfAccount) && !(isCustomer && place.isOfTree);

/** The places that a person may open, by their groups; a group without any is left out. */
export function groupsOf(person: Opener): (readonly [string, readonly Place[]])[] {
  return GROUPS.map(([group, places]) => [group, places.filter((place) => isOpen(place, person))] as const).filter(
    ([, open]) => open.length > 0,
  );
}

/** The places that do what the commands in a text do; agents and customers do not see commands. */
export function placesOfCommands(text: string, person: Opener): Place[] {
  if (person.account) return [];
  const wanted = new Set([...text.matchAll(/\bvosd ([a-z]+)/g)].map(([, verb]) => VERBS[verb ?? ""]));
  return groupsOf(person).flatMap(([, places]) => places.filter(({ name }) => wanted.has(name)));
}

/** The keys that lead a person to a place, each with that. */
export function keysOf(person: Opener): (readonly [string, Place])[] {
  const open = groupsOf(person).flatMap(([, places]) => places);
  const named = (wanted: string) => open.filter(({ name }) => name === wanted);
  return [
    ...open.slice(0, 1).map((first) => ["o", first] as const),
    ...KEYS.flatMap(([key, name]) => named(name).map((place) => [key, place] as const)),
  ];
}

/** The address of the first place that a person may open; that of the overview where there is none. */
export const homeOf = (person: Opener): string => groupsOf(person)[0]?.[1][0]?.to ?? "/";
