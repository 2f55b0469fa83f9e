/** Reports as tables, with the ways from a row to what it is made of. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { client, content, pageOf, type Row } from "../api/client";
import { useMay, useSession } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { zoneName } from "../zone";
import type { ReportSpan, Spans } from "./spans";
import { type Column, type Read, Table } from "./table";
import { type Kind, Moment, Money, Value } from "./values";

const REPORTS_MAX = 1_000;

export interface Report {
  name?: string;
  columns: { name: string; kind: string; meaning: string }[];
  rows: Row[];
  since?: string;
  until?: string;
  group?: string;
  zone?: string;
  totals: Row[];
  missing: number;
  missing_in_replica: number;
  /** Columns that it lacks, and why; empty where it has all. */
  without?: string;
  /** Currencies that find the calls of each row; null where they do not tell them from those of another row. */
  calls: (CurrenciesOfCalls | null)[];
  spans?: ReportSpan[];
}

interface CurrenciesOfCalls {
  currency?: string | null;
  vendor_currency?: string | null;
}

/** Parts that a report lacks, and why: calls that are not added up or not in its replica yet, columns whose entries are gone. */
export function Missing({ report }: { report: Report }) {
  const { t } = useTranslation();
  const late = report.missing_in_replica;
  const waiting = report.missing - late;
  if (report.missing === 0 && !report.without) return null;
  return (
    <span className="quiet" role="status">
      {report.without && (
        <>
          {t("reports.without")} <ServerText text={report.without} />{" "}
        </>
      )}
      {waiting > 0 && t("reports.waiting", { count: waiting })} {late > 0 && t("reports.late", { count: late })}
    </span>
  );
}

interface Order {
  since?: string;
  until?: string;
  group?: string;
  account?: string;
  gateway?: string;
  vendor?: string;
  area?: string;
  reason?: string;
  answered?: string;
  caller?: string;
  callee?: string;
  caller_digits?: string;
  callee_digits?: string;
}

/** Read a report whose days are those of a zone, the viewer's where none is given. */
export function reportOf(name: string, order: Order, zone = zoneName()): Promise<Report> {
  const query = { ...order, zone } as never;
  return content(
    client.GET("/reports/{name}", { params: { path: { name } as never, query } }),
  ) as unknown as Promise<Report>;
}

/** The reports that the person may see. */
export function useReports() {
  return useQuery({
    queryKey: ["reports"],
    queryFn: () => pageOf("/reports", { limit: REPORTS_MAX }),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: useMay("GET /reports"),
  });
}

/** Whether the person may see a report: roles have permissions for some of them. */
export function useSeesReport(name: string): boolean {
  return useReports().data?.items.some((each) => each.name === name) ?? false;
}

const LEADING = ["span", "customer_account", "vendor_account", "mapping_gateway", "routing_gateway", "area"];
const KINDS: Record<string, Kind> = { money: "money", count: "number", seconds: "number", percent: "number" };
/** Columns whose values are more than text. */
const LINKS: Record<string, Kind> = {
  customer_account: "account",
  vendor_account: "account",
  mapping_gateway: "gateway",
  routing_gateway: "gateway",
  end_reason: "state",
  hangup_source: "state",
  type: "state",
  kind: "state",
  // amounts, or that there is no limit
  overdraft_limit: "money",
  available: "money",
  expires_at: "moment",
  last_payment: "moment",
};

/** The beginning of a span: a moment where it is shorter than a day, else the day as it is. */
const spanOf = (row: Row) =>
  String(row.span).includes("T") ? <Moment value={row.span} /> : <span>{String(row.span ?? "–")}</span>;

export function columnsOf(report: Pick<Report, "columns">): Column[] {
  return report.columns.map(({ name, kind: declared }) => {
    const kind = LINKS[name] ?? KINDS[declared] ?? "text";
    // currencies have columns of their own
    const money = (row: Row) => <Money value={row[name]} />;
    return { name, kind, show: name === "span" ? spanOf : kind === "money" ? money : undefined };
  });
}

/** Reports that leave rows out: their totals have these, too. */
const OF_TOP = "top-";

/** Kinds of entries that the page of payments lists. */
const PAYMENTS = ["payment", "adjustment", "zero", "refund", "transfer"];
/** Columns that say how calls ended, where answered ones are left out. */
const ENDED = ["end_reason", "sip_code", "hangup_source"];
/** Columns and criteria that the search for calls does not know. */
const NOT_SEARCHED = [
  ...["party", "callee_prefix", "caller_prefix"],
  ...["callee", "caller", "callee_digits", "caller_digits"],
];

const text = (value: unknown) => (value ? String(value) : undefined);

/** Whether a row without a gateway has all calls that ended so in its span: no other row is of those that reached one. */
const isWhole = (row: Row, rows: readonly Row[]) =>
  "sip_code" in row &&
  rows.every((each) => each === row || ["span", ...ENDED].some((name) => each[name] !== row[name]) || !each.calls);

/** The time of a row: its span, or that of the report. */
function timeOf(row: Row, report: Spans): { since?: string; until?: string } {
  const { since, until } = report.spans?.find((each) => each.span === row.span) ?? report;
  return { since, until };
}

/**
 * Where the calls of a row are: by its accounts, gateways, destination, how they ended and span, within the time and the
 * criteria of the report, and by their currencies where a row differs from another one by them alone. None where the
 * search would find other calls, or nothing: attempts alone have no records.
 */
export function callsOf(
  row: Row,
  report: Spans & { rows?: readonly Row[] },
  order: Order,
  currencies: CurrenciesOfCalls | null = {},
) {
  // a row of the calls without an account, gateway, area or reason has an empty one
  const isEmpty = (name: string) =>
    name in row && !row[name] && !(name === "routing_gateway" && isWhole(row, report.rows ?? []));
  const isOther = (name: string) => name in row || Boolean(order[name as keyof Order]);
  if ([...LEADING, "end_reason"].some(isEmpty) || NOT_SEARCHED.some(isOther) || !currencies) return null;
  if (row.calls === 0) return null;
  return {
    account: order.account,
    customer: text(row.customer_account),
    vendor: text(row.vendor_account) ?? order.vendor,
    gateway: order.gateway,
    mapping_gateway: text(row.mapping_gateway),
    routing_gateway: text(row.routing_gateway),
    area: text(row.area) ?? order.area,
    rate_type: "rate_type" in row ? (text(row.rate_type) ?? "none") : undefined,
    reason: text(row.end_reason) ?? order.reason,
    answered: "sip_code" in row ? "false" : order.answered,
    sip_code: "sip_code" in row ? String(row.sip_code ?? 0) : undefined,
    hangup_source: text(row.hangup_source),
    currency: currencies.currency ?? undefined,
    vendor_currency: currencies.vendor_currency ?? undefined,
    ...timeOf(row, report),
  };
}

/** Whether rows of a report can lead to what they are made of. */
export function leadsOn(columns: readonly { name: string }[]) {
  const has = (names: readonly string[]) => columns.some(({ name }) => names.includes(name));
  return has(["account", ...LEADING]) && !has(NOT_SEARCHED);
}

/** Address of the entries of a row: those of its time, or all until its end, which make its balance. */
export function entriesOf(row: Row, report: Spans) {
  const time = timeOf(row, report);
  return { account: text(row.account), ...("balance" in row ? { until: time.until } : time) };
}

/** The way to what a row is made of: calls, payments of a kind or entries of the ledger; none where that would be others. */
function Behind({
  row,
  report,
  order,
  currencies,
}: {
  row: Row;
  report: Report;
  order: Order;
  currencies: CurrenciesOfCalls | null;
}) {
  const { t } = useTranslation();
  const { may } = useSession();
  if ("account" in row) {
    const kind = text(row.kind);
    const search = entriesOf(row, report);
    if (!kind && may.has("GET /ledger"))
      return (
        <Link to="/lists/$list" params={{ list: "ledger" }} search={search}>
          {t("reports.entries")}
        </Link>
      );
    if (kind && PAYMENTS.includes(kind) && may.has("GET /payments"))
      return (
        <Link to="/payments" search={{ kind, ...search }}>
          {t("reports.entries")}
        </Link>
      );
    return null;
  }
  const search = may.has("GET /cdrs") ? callsOf(row, report, order, currencies) : null;
  return (
    search && (
      <Link to="/cdrs" search={search}>
        {t("reports.behind")}
      </Link>
    )
  );
}

/** The totals of a table; none where as many rows are there, for each total would be one of them again. */
export const totalsShown = (rows: readonly Row[], totals: readonly Row[]) =>
  rows.length > totals.length ? totals : [];

export function ReportTable(props: {
  label: string;
  report: Report | undefined;
  read: Read;
  /** Its order, where the rows shall lead to what they are made of. */
  order?: Order;
}) {
  const { t } = useTranslation();
  const { report } = props;
  const rows = report?.rows ?? [];
  const totals = totalsShown(rows, report?.totals ?? []);
  const first = report?.columns[0]?.name ?? "";
  const ofAll = report?.name?.startsWith(OF_TOP) ? t("reports.total_all") : t("reports.total");
  const summed = totals.map((total) => ({ ...total, [first]: ofAll }));
  const { order } = props;
  const leads = report && order && leadsOn(report.columns);
  const currencies = new Map(rows.map((row, index) => [row, report?.calls?.[index] ?? null]));
  const columns = report ? columnsOf(report) : [];
  const isTotal = (row: Row) => (summed as Row[]).includes(row);
  const named = columns.map((column, index) =>
    index === 0
      ? {
          ...column,
          show: (row: Row) =>
            isTotal(row) ? (
              <b>{String(row[first])}</b>
            ) : (
              (column.show?.(row) ?? <Value row={row} name={first} kind={column.kind ?? "text"} />)
            ),
        }
      : column,
  );
  return (
    <Table
      label={props.label}
      columns={
        leads && report
          ? [
              ...named,
              {
                name: "behind",
                show: (row: Row) =>
                  !isTotal(row) && (
                    <Behind row={row} report={report} order={order} currencies={currencies.get(row) ?? null} />
                  ),
              },
            ]
          : named
      }
      rows={[...rows, ...summed]}
      rowKey={(_row, index) => String(index)}
      read={props.read}
    />
  );
}
