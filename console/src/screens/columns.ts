/** Lists of the API that are one table each: where they are, what they show, by what they are narrowed. */

import type { Row } from "../api/client";
import type { Column } from "../parts/table";

export interface List {
  path: string;
  columns: readonly Column[];
  /** Fields by which the API narrows it; a choice where there are few values. */
  filters?: readonly { name: string; choices?: readonly string[]; isMoment?: boolean }[];
  /** Fields that tell its rows apart. */
  rowKey: readonly string[];
  /** The parameter of the API that takes the id of one row, where its details have an address. */
  opens?: string;
  /** Fields of every request, beside those that a person sets. */
  fixed?: Readonly<Record<string, unknown>>;
  /** Whether agents and customers have to say of which account; their own, where they do not. */
  isOfOneAccount?: boolean;
  /** After how long it is read again. */
  readMs?: number;
  /** Key of the text where it has no rows, which says how it gets some. */
  empty?: string;
  /** Whether agents and customers would see it empty. */
  isForOperators?: boolean;
}

/** Columns of calls that say where they went and what that cost: nothing is in them for agents and customers. */
const OF_VENDOR = new Set(["vendor_account", "routing_gateway", "cost"]);

/** The columns of calls for operators, or for people of an account. */
export const columnsOfCalls = (columns: readonly Column[], isOfAccount: boolean): readonly Column[] =>
  isOfAccount ? columns.filter(({ name }) => !OF_VENDOR.has(name)) : columns;

/** Lists of what phones, callers and senders do, which change by themselves. */
const LIVE_MS = 10_000;
const sorted = (name: string, kind?: Column["kind"]): Column => ({ name, kind, isSortable: true });
/** A gateway as it does now, over the last five minutes. */
export const gatewayColumns: readonly Column[] = [
  sorted("gateway", "gateway"),
  { name: "kind", kind: "state" },
  sorted("state", "state"),
  { name: "account", kind: "account" },
  sorted("calls", "number"),
  { name: "max_concurrent", kind: "number" },
  sorted("cps", "percent"),
  { name: "max_cps", kind: "number" },
  sorted("attempts", "number"),
  sorted("asr", "percent"),
  sorted("ner", "percent"),
  sorted("acd_s", "percent"),
  sorted("pdd_ms", "number"),
  { name: "rest_s", kind: "number" },
  { name: "rest", kind: "sentence" },
];

/** Keys of rows, which stay with them where others come before: rows that no field tells apart are counted. */
export function rowKeys(rows: readonly Row[], fields: readonly string[]): string[] {
  const found = new Map<string, number>();
  return rows.map((row) => {
    const key = fields.map((name) => row[name]).join(" ");
    const count = found.get(key) ?? 0;
    found.set(key, count + 1);
    return count === 0 ? key : `${key} ${count}`;
  });
}

export const lists = {
  registrations: {
    path: "/registrations",
    columns: [
      sorted("name"),
      { name: "direction", kind: "state" },
      { name: "state", kind: "state" },
      { name: "contact" },
      { name: "received" },
      { name: "transport" },
      { name: "user_agent" },
      { name: "registered_at", kind: "moment" },
      { name: "expires_at", kind: "moment" },
    ],
    filters: [{ name: "name" }, { name: "direction", choices: ["inbound", "outbound"] }],
    rowKey: ["direction", "name", "contact"],
    readMs: LIVE_MS,
  },
  ledger: {
    path: "/ledger",
    fixed: { newest_first: true },
    isOfOneAccount: true,
    columns: [
      { name: "created_at", kind: "moment" },
      { name: "account", kind: "account" },
      { name: "kind", kind: "sentence" },
      { name: "amount", kind: "money" },
      { name: "reference" },
      { name: "memo", kind: "words" },
      { name: "operator" },
    ],
    filters: [{ name: "account" }, { name: "since", isMoment: true }, { name: "until", isMoment: true }],
    rowKey: ["id"],
  },
  scheduled: {
    path: "/scheduled-reports",
    empty: "state.none_scheduled",
    columns: [
      { name: "name", kind: "schedule" },
      { name: "report", kind: "report" },
      { name: "criteria" },
      { name: "every", kind: "state" },
      { name: "timezone" },
      { name: "form", kind: "state" },
      { name: "directory" },
      { name: "mail" },
      { name: "done_until", kind: "moment" },
      { name: "period" },
      { name: "due_at", kind: "moment" },
      { name: "why", kind: "sentence" },
      { name: "retry_at", kind: "moment" },
      { name: "source" },
    ],
    rowKey: ["name"],
  },
  blacklist: {
    path: "/blacklist",
    columns: [
      { name: "caller" },
      { name: "mapping_gateway", kind: "gateway" },
      { name: "cause", kind: "sentence" },
      { name: "since", kind: "moment" },
      { name: "until", kind: "moment" },
    ],
    rowKey: ["caller"],
    readMs: LIVE_MS,
  },
  sources: {
    path: "/sources",
    columns: [
      sorted("source"),
      { name: "cause", kind: "sentence" },
      { name: "username" },
      { name: "failures", kind: "number" },
      { name: "until", kind: "moment" },
    ],
    filters: [{ name: "source" }, { name: "username" }],
    rowKey: ["source"],
    readMs: LIVE_MS,
  },
  overrides: {
    path: "/overrides",
    columns: [
      { name: "target", kind: "sentence" },
      { name: "name" },
      { name: "setting", kind: "sentence" },
      { name: "value" },
      { name: "operator" },
      { name: "since", kind: "moment" },
      { name: "until", kind: "moment" },
      { name: "memo", kind: "words" },
    ],
    rowKey: ["target", "name", "setting"],
  },
  audit: {
    path: "/audit",
    columns: [
      { name: "at", kind: "moment" },
      { name: "principal" },
      { name: "role", kind: "role" },
      { name: "action", kind: "act" },
      { name: "subject" },
      { name: "means", kind: "sentence" },
      { name: "source" },
    ],
    filters: [
      { name: "principal" },
      { name: "subject" },
      { name: "action" },
      { name: "since", isMoment: true },
      { name: "until", isMoment: true },
    ],
    rowKey: ["id"],
    opens: "number",
  },
  jobs: {
    path: "/jobs",
    fixed: { sort: "-id" },
    columns: [
      { name: "id", kind: "number" },
      { name: "kind", kind: "sentence" },
      { name: "subject" },
      { name: "state", kind: "state" },
      { name: "progress", kind: "share" },
      { name: "ordered_by" },
      { name: "queued", kind: "moment" },
      { name: "ended", kind: "moment" },
    ],
    filters: [{ name: "kind" }, { name: "state", choices: ["queued", "running", "done", "failed", "cancelled"] }],
    rowKey: ["id"],
    opens: "id",
    readMs: 3_000,
  },
  people: {
    path: "/people",
    columns: [
      sorted("name"),
      { name: "role", kind: "role" },
      { name: "account", kind: "account" },
      { name: "state", kind: "state" },
      { name: "totp", kind: "state" },
      { name: "last_login", kind: "moment" },
      { name: "created_by" },
    ],
    filters: [{ name: "role" }, { name: "account" }],
    rowKey: ["name"],
  },
  tokens: {
    path: "/tokens",
    columns: [
      { name: "id" },
      sorted("name"),
      { name: "role", kind: "role" },
      { name: "account", kind: "account" },
      { name: "scopes" },
      { name: "last_used", kind: "moment" },
      { name: "expires", kind: "moment" },
      { name: "created_by" },
    ],
    filters: [{ name: "name" }, { name: "role" }, { name: "account" }],
    rowKey: ["id"],
  },
  roles: {
    path: "/roles",
    columns: [
      sorted("name"),
      { name: "acts_for", kind: "state" },
      { name: "ships", kind: "state" },
      { name: "wants_totp", kind: "state" },
      { name: "permissions", kind: "permissions" },
    ],
    rowKey: ["name"],
  },
  parameter_versions: {
    path: "/parameter-versions",
    fixed: { sort: "-made_at" },
    columns: [
      sorted("made_at", "moment"),
      sorted("name"),
      { name: "keys", kind: "keys" },
      sorted("begins_at", "moment"),
      { name: "operator" },
      { name: "memo", kind: "words" },
    ],
    filters: [{ name: "name" }, { name: "operator" }],
    rowKey: ["name", "version"],
  },
  backups: {
    path: "/backups",
    columns: [sorted("name"), { name: "bytes", kind: "number" }, { name: "written_at", kind: "moment" }],
    rowKey: ["name"],
  },
} satisfies Record<string, List>;
