/** What the search of the frame finds: each kind of thing that the text may name, a few of each. */

import { Stack, Title } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { Link, Navigate, useSearch } from "@tanstack/react-router";
import { isOfMinutesAgo } from "../api/again";
import {
  allOf,
  listText,
  type Page as PageOfRows,
  Problem,
  pageOf,
  type Query,
  queryText,
  type Row,
} from "../api/client";
import { searchFor } from "../format";
import type { Narrowing } from "../narrowing";
import { Go } from "../parts/go";
import { Note } from "../parts/note";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { type Column, Table } from "../parts/table";
import { Gateway, Value } from "../parts/values";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";
import { gatewayColumns } from "./columns";

const SHOWN = 5;
/** Rows of a place that are read: where there are more, the one that is called so may be behind them. */
const READ_MAX = 50;
const NOT_FOUND = 404;

/** Where to look: what is asked, which rows fit, and where all of them are. */
interface Place {
  name: string;
  needs: string;
  read: () => Promise<Row[]>;
  columns: readonly Column[];
  all: Target;
  /** The page of one of its rows. */
  one: (row: Row) => Target;
  /** Its rows are calls, by a number in them. */
  isOfCalls?: boolean;
}

/** A place with the rows that were found there. */
interface Hit {
  place: Pick<Place, "one" | "isOfCalls">;
  rows: readonly Row[];
}

interface Target {
  to: string;
  search?: Narrowing;
}

const CALLS: readonly Column[] = [
  { name: "started_at", kind: "moment" },
  { name: "caller_in" },
  { name: "callee_in" },
  { name: "customer_account", kind: "account" },
  { name: "end_reason", kind: "state" },
  { name: "call_id", kind: "call" },
];
const RUNNING: readonly Column[] = [
  { name: "started_at", kind: "moment" },
  { name: "caller" },
  { name: "callee" },
  { name: "state", kind: "state" },
  { name: "call_id", kind: "call" },
];
const ACCOUNTS: readonly Column[] = [
  { name: "id", kind: "account" },
  { name: "name" },
  { name: "balance", kind: "money" },
];
const INVOICES_OF: Column = { name: "invoices", show: ({ id }) => <InvoicesOf account={String(id)} /> };
const INVOICES: readonly Column[] = [
  { name: "number", show: ({ name, invoice }) => <Go to={`/invoices/${invoice}`}>{String(name)}</Go> },
  { name: "account", kind: "account" },
  { name: "issuer" },
  { name: "kind", kind: "state" },
  { name: "state", kind: "state" },
  { name: "period" },
  { name: "gross", kind: "money" },
  { name: "due_on" },
];
const REGISTERED: readonly Column[] = [
  { name: "name" },
  { name: "state", kind: "state" },
  { name: "received" },
  { name: "user_agent" },
];
const SOURCES: readonly Column[] = [
  { name: "source" },
  { name: "cause", kind: "sentence" },
  { name: "username" },
  { name: "until", kind: "moment" },
];
const RATES: readonly Column[] = [
  { name: "name", show: ({ name }) => <Go to={`/rates/${encodeURIComponent(String(name))}`}>{String(name)}</Go> },
  { name: "currency" },
  { name: "memo", kind: "words" },
];
const keyOf = (row: Row, key: string) => (row.keys as Row | undefined)?.[key];
const objectColumns = (kind: "phones" | "dids"): readonly Column[] => [
  {
    name: "name",
    show: ({ name }) => <Go to={`/objects/${kind}/${encodeURIComponent(String(name))}`}>{String(name)}</Go>,
  },
  {
    name: "account",
    show: (row) => <Value row={{ account: keyOf(row, "account") }} name="account" kind="account" />,
  },
  { name: "memo", kind: "words" },
];
const trunkColumns = (kind: "mapping_gateways" | "routing_gateways"): readonly Column[] => [
  { name: "name", show: ({ name }) => <Gateway name={String(name)} kind={kind} /> },
  { name: "source", kind: "state" },
];

const SITE = "/64";
const SITE_GROUPS = 4;

/** The first half of an IPv6 address, without leading zeros and small. */
function siteOf(address: string): string {
  const [begin = "", end] = address.toLowerCase().split("::");
  const groups = begin.split(":").filter(Boolean);
  const behind = end === undefined ? [] : end.split(":").filter(Boolean);
  const zeros = Array(Math.max(0, 2 * SITE_GROUPS - groups.length - behind.length)).fill("0");
  const all = [...groups, ...zeros, ...behind].map((group) => group.replace(/^0+(?=.)/, ""));
  return all.slice(0, SITE_GROUPS).join(":");
}

/** Whether the switch names an address as a source: of IPv6 all addresses of a site are one. */
export function isOfSource(source: string, address: string): boolean {
  const host = address.replace(/^\[(.*)\](:\d+)?$|^([\d.]+):\d+$/, "$1$3").toLowerCase();
  if (source.toLowerCase() === host) return true;
  return host.includes(":") && source.endsWith(SITE) && siteOf(source.slice(0, -SITE.length)) === siteOf(host);
}

/** An invoice as a row that is found by its name, which is its number; its id is a number among others. */
export const invoiceRow = ({ id, number, ...row }: Row): Row => ({ ...row, name: number, invoice: id });

function placesOf(text: string, seesState: boolean, seesInvoices: boolean): Place[] {
  const { to, value } = searchFor(text);
  const wanted = value.toLowerCase();
  const calls = (field: "caller" | "callee" | "sip_call_id"): Place => ({
    name: `found.${field}`,
    needs: "GET /cdrs",
    read: () => pageOf("/cdrs", { [field]: value, limit: SHOWN }).then((page) => page.items),
    columns: CALLS,
    all: { to: "/cdrs", search: { [field]: value } },
    one: () => ({ to: "/cdrs", search: { [field]: value } }),
    isOfCalls: true,
  });
  const read = (path: string, named: Query, fields?: string) => async () => {
    const page = await pageOf(path, { containing: wanted, fields, limit: READ_MAX });
    if (page.next === null) return page.items;
    const isCalledSo = (row: Row) => nameOf(row).toLowerCase() === wanted;
    let called = page.items.filter(isCalledSo);
    if (called.length === 0)
      called = (await pageOf(path, { ...named, fields, limit: 1 }).catch(noPageWhereRefused)).items;
    return [...called, ...page.items.filter((row) => !isCalledSo(row))];
  };
  const trunks = (list: "mapping" | "routing"): Place => ({
    name: `kind.${list}_gateways`,
    needs: `GET /${list}-gateways`,
    read: read(`/${list}-gateways`, { name: value }),
    columns: trunkColumns(`${list}_gateways`),
    all: { to: `/objects/${list}_gateways` },
    one: ({ name }) => ({
      to: `/${seesState ? "gateways" : `objects/${list}_gateways`}/${encodeURIComponent(String(name))}`,
    }),
  });
  const registered: Place = {
    name: "nav.registrations",
    needs: "GET /registrations",
    read: read("/registrations", { name: value }),
    columns: REGISTERED,
    all: { to: "/lists/registrations" },
    one: (row) => ({ to: "/lists/registrations", search: { name: String(row.name) } }),
  };
  const sources = (ask: Place["read"]): Place => ({
    name: "nav.sources",
    needs: "GET /sources",
    read: ask,
    columns: SOURCES,
    all: { to: "/lists/sources" },
    one: (row) => ({ to: "/lists/sources", search: { source: String(row.source) } }),
  });
  if (to === "address") {
    const isMeant = (row: Row) => isOfSource(String(row.source), wanted);
    const blocked = sources(() => allOf("/sources").then((rows) => rows.filter(isMeant))); // those are few
    return [trunks("mapping"), trunks("routing"), registered, blocked];
  }
  if (to === "sip_call_id") return [calls("sip_call_id")];
  const accounts: Place = {
    name: "nav.customers",
    needs: "GET /balances",
    read: read("/balances", { accounts: listText([value]) }, "id,name,balance,currency"),
    columns: seesInvoices ? [...ACCOUNTS, INVOICES_OF] : ACCOUNTS,
    all: { to: "/accounts", search: { q: value } },
    one: (row) => ({ to: `/accounts/${encodeURIComponent(String(row.id))}` }),
  };
  // a number is written with signs that a called one has not
  const written = text.trim();
  const invoices: Place = {
    name: "nav.invoices",
    needs: "GET /invoices",
    read: () => pageOf("/invoices", { number: written, limit: SHOWN }).then((page) => page.items.map(invoiceRow)),
    columns: INVOICES,
    all: { to: "/invoices", search: { number: written } },
    one: ({ invoice }) => ({ to: `/invoices/${invoice}` }),
  };
  const gateways: Place = {
    name: "nav.gateways",
    needs: "GET /gateways/quality",
    read: read("/gateways/quality", { gateway: value }),
    columns: gatewayColumns.slice(0, 5),
    all: { to: "/gateways", search: { q: value } },
    one: (row) => ({ to: `/gateways/${encodeURIComponent(String(row.gateway))}` }),
  };
  const objects = (kind: "phones" | "dids"): Place => ({
    name: `kind.${kind}`,
    needs: `GET /${kind}`,
    read: read(`/${kind}`, { name: value }, "name,memo,keys"),
    columns: objectColumns(kind),
    all: { to: `/objects/${kind}` },
    one: ({ name }) => ({ to: `/objects/${kind}/${encodeURIComponent(String(name))}` }),
  });
  const attacked = sources(() => pageOf("/sources", { username: value, limit: SHOWN }).then((page) => page.items));
  const rates: Place = {
    name: "nav.rates",
    needs: "GET /rates/groups/{rate_group}/areas", // which their pages show
    read: read("/rates/groups", { name: value }, "name,currency,memo"),
    columns: RATES,
    all: { to: "/rates" },
    one: ({ name }) => ({ to: `/rates/${encodeURIComponent(String(name))}` }),
  };
  if (to !== "number")
    return [
      accounts,
      invoices,
      gateways,
      objects("phones"),
      registered,
      trunks("mapping"),
      trunks("routing"),
      rates,
      attacked,
    ];
  const running = (field: "caller" | "callee"): Place => ({
    name: `found.running_${field}`,
    needs: "GET /calls",
    read: () => pageOf("/calls", { [field]: value, limit: SHOWN }).then((page) => page.items),
    columns: RUNNING,
    all: { to: "/calls", search: { q: value } },
    one: () => ({ to: "/calls", search: { q: value } }),
    isOfCalls: true,
  });
  return [
    running("callee"),
    running("caller"),
    calls("callee"),
    calls("caller"),
    accounts,
    invoices,
    objects("phones"),
    objects("dids"),
    registered,
    attacked,
  ];
}

/** The way to the invoices of an account. */
function InvoicesOf({ account }: { account: string }) {
  const { t } = useTranslation();
  return <Go to={`/invoices?${queryText({ account })}`}>{t("nav.invoices")}</Go>;
}

/** A text names nothing where the API does not take it: an account with spaces, for example. */
const noPageWhereRefused = (error: unknown): PageOfRows => {
  if (error instanceof Problem && error.status === NOT_FOUND) return { items: [], next: null };
  throw error;
};
const noneWhereRefused = (error: unknown) => noPageWhereRefused(error).items;

const NAMES = ["id", "name", "gateway"];
/** The name of a row; of an account its id, since its name is a caption. */
const nameOf = (row: Row) => String(row.id ?? row.name ?? row.gateway ?? "");

/**
 * The one page that all hits lead to, or all those whose name is the text itself; none where there are several.
 *
 * A number that has calls is looked for because of these as often as because of its phone.
 */
export function singleOf(hits: readonly Hit[], wanted: string): Target | null {
  const leads = (fits: (row: Row) => boolean) => {
    const targets = hits.flatMap(({ place, rows }) => rows.filter(fits).map(place.one));
    const [first] = targets;
    return first && targets.every((each) => sameTarget(each, first)) ? first : null;
  };
  if (hits.some(({ place }) => place.isOfCalls)) return leads(() => true);
  return leads(() => true) ?? leads((row) => NAMES.some((name) => String(row[name] ?? "").toLowerCase() === wanted));
}

const sameTarget = (one: Target, other: Target) =>
  one.to === other.to && queryText(one.search ?? {}) === queryText(other.search ?? {});

export function FoundScreen() {
  const { t } = useTranslation();
  const { q = "" } = useSearch({ from: "/found" });
  const { may } = useSession();
  const places = placesOf(q, may.has("GET /gateways/quality"), may.has("GET /invoices")).filter(
    (place) => q && may.has(place.needs),
  );
  const asked = useQueries({
    queries: places.map((place) => ({
      queryKey: ["found", place.name, q],
      queryFn: () => place.read().catch(noneWhereRefused),
      // a dozen lists are asked for it
      refetchOnWindowFocus: isOfMinutesAgo,
    })),
  });
  const { to, value } = searchFor(q);
  if (to === "call") return <Navigate to="/cdrs/$call" params={{ call: value }} replace />;
  const isRead = asked.every((each) => !each.isPending);
  const hits = places
    .map((place, index) => ({ place, rows: asked[index]?.data ?? [] }))
    .filter(({ rows }) => rows.length > 0);
  const hasFailed = asked.some((each) => each.error);
  const single = isRead && !hasFailed ? singleOf(hits, value.toLowerCase()) : null;
  if (single) return <Navigate {...single} replace />;
  return (
    <Page title={t("found.title", { text: q })}>
      {!isRead && <Note why="loading">{t("state.loading")}</Note>}
      {isRead && hits.length === 0 && !hasFailed && (
        <Note why="empty">
          {places.length === 0
            ? t("found.enter")
            : t("found.nothing", { places: places.map((place) => t([place.name])).join(t("found.comma")) })}
        </Note>
      )}
      {asked.map((each, index) => (
        <ProblemText key={places[index]?.name} error={each.error} again={() => each.refetch()} />
      ))}
      {hits.map(({ place, rows }) => (
        <Stack key={place.name} gap={4}>
          <Title order={2} size="h4">
            <Link {...place.all}>{t(place.name)}</Link>
          </Title>
          <Table
            label={t(place.name)}
            columns={place.columns}
            rows={rows.slice(0, SHOWN)}
            rowKey={(row, index) => `${row.call_id ?? row.id ?? row.name ?? row.gateway} ${index}`}
          />
        </Stack>
      ))}
    </Page>
  );
}
