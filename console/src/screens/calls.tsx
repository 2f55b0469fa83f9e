/** Running calls: all, filtered or grouped; some or all are hung up. */

import { Button, Group, SegmentedControl, TextInput, VisuallyHidden } from "@mantine/core";
import { useDocumentVisibility } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { allOf, client, content, Problem, queryText, type Row } from "../api/client";
import { takeStream } from "../api/streams";
import { moment } from "../format";
import { Age, CostSoFar, type PricedCall } from "../parts/age";
import { Confirm } from "../parts/confirm";
import { Go } from "../parts/go";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { isGone, useStillRows } from "../parts/still";
import { type Column, type Read, Table } from "../parts/table";
import { State, Value } from "../parts/values";
import { useIsOfAccount, useMay } from "../session";
import { useTranslation } from "../text/translation";
import { USE_MS } from "./accounts";
import { columnsOfCalls } from "./columns";
import { follow, SILENT_MS } from "./running";

const HTTP_NOT_FOUND = 404;
const NO_CALLS: readonly Row[] = [];
/** Mark of a call that may have ended since: it was there when the calls were read for the last time. */
const OLD = "is_old";
const NO_NAMES: ReadonlySet<string> = new Set();

interface RunningCalls {
  rows: readonly Row[];
  /** Why they could not be read: the rows are those of `asOf` then. */
  error: Error | null;
  read: Read;
  /** The moment when the calls were known last. */
  asOf: string;
  /** Whether other windows have all streams that there may be: the calls are read again and again. */
  isCrowded: boolean;
}

/** The running calls; `isLive`: the person may see events. */
function useRunningCalls(isLive: boolean): RunningCalls {
  const [isCrowded, setCrowded] = useState(false);
  const [rows, setRows] = useState<readonly Row[] | null>(null);
  const [asOf, setAsOf] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const visibility = useDocumentVisibility();
  useEffect(() => {
    // a browser has six connections for all tabs: streams of hidden ones would leave none for the tab that is looked at
    if (visibility !== "visible") return;
    const draw = (found: readonly Row[]) => {
      setRows(found);
      setAsOf(new Date().toISOString());
    };
    const seen = new AbortController();
    let stop: (() => void) | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const begin = async () => {
      const hasStream = isLive && (await takeStream(seen.signal));
      if (seen.signal.aborted) return;
      const isWaiting = isLive && !hasStream;
      setCrowded(isWaiting);
      if (hasStream) stop?.();
      if (hasStream || !stop) stop = follow(draw, setError, hasStream);
      // the window that has a stream may be closed, and says so to no other
      if (isWaiting) again = setTimeout(begin, SILENT_MS);
    };
    void begin();
    return () => {
      seen.abort();
      clearTimeout(again);
      stop?.();
    };
  }, [isLive, visibility]);
  const read = error ? "error" : rows === null ? "pending" : "success";
  // calls that were there last may have ended since: their durations must not count on
  const shown = useMemo(() => (error ? rows?.map((row) => ({ ...row, [OLD]: true })) : rows), [rows, error]);
  return { rows: shown ?? NO_CALLS, error, read, asOf, isCrowded };
}

/** The names of the accounts below an agent, directly or at any depth, whose calls are shown; none without an agent. */
function useAccountsBelow(agent: string | undefined, all: string | undefined) {
  const found = useQuery({
    queryKey: ["balances", "below", agent, all],
    queryFn: () => allOf("/balances", { agent, all, fields: "id" }),
    enabled: agent !== undefined,
    refetchInterval: USE_MS,
  });
  const names = useMemo(() => found.data && new Set(found.data.map((row) => String(row.id))), [found.data]);
  const none: ReadonlySet<string> | undefined = agent === undefined ? undefined : NO_NAMES;
  return { names: names ?? none, error: found.error, isPending: agent !== undefined && found.isPending };
}

/** The gateway or phone that is called, and those that ring beside it. */
function Called({ row }: { row: Row }) {
  const { t } = useTranslation();
  const beside = ((row.rings_beside ?? []) as string[]).join(", ");
  return (
    <>
      <Value row={row} name="routing_gateway" kind="gateway" />
      {beside && <span title={t("calls.beside", { names: beside })}> + {beside}</span>}
    </>
  );
}

const FITTING = [
  "caller",
  "callee",
  "customer_account",
  "vendor_account",
  "mapping_gateway",
  "routing_gateway",
  "rings_beside",
  "state",
];
const GROUPS = { customer: "customer_account", vendor: "vendor_account", destination: "destination" } as const;
type Grouping = keyof typeof GROUPS;
/** Fields of the address that leave calls of one name, each with its word; an account is the customer or the vendor. */
const NARROWINGS = [
  ...Object.entries(GROUPS).map(([word, field]) => ({ field, word })),
  { field: "account", word: "account" },
  { field: "agent", word: "agent" },
];
/** Digits by which destinations are told apart. */
const DESTINATION_DIGITS = 4;
const ENDED_AT_ONCE = 8;
/** Calls that the question names before they are hung up. */
const NAMED_CALLS = 5;

/** A field of a call by which calls are grouped; destinations are the first digits of the called number. */
function groupOf(row: Row, field: string): string {
  if (field !== "destination") return String(row[field] ?? "");
  const callee = String(row.callee ?? "");
  const first = callee.startsWith("+") ? 1 : 0;
  return callee.slice(first, first + DESTINATION_DIGITS);
}

/** Those of the calls that an account pays for or carries. */
export function callsOfAccount(rows: readonly Row[], account: string): readonly Row[] {
  return rows.filter((row) => row.customer_account === account || row.vendor_account === account);
}

/** Whether a call has ended, or may have. */
const isOver = (row: Row): boolean => isGone(row) || row[OLD] === true;

/** Those of the calls that cost something by now: answered ones that have a price. */
export function pricedCalls(rows: readonly Row[]): PricedCall[] {
  return rows
    .filter((row) => row.answered_at && row.price_per_minute && !row[OLD])
    .map((row) => ({
      since: String(row.answered_at),
      price: String(row.price_per_minute),
      currency: String(row.currency ?? ""),
    }));
}

function CostOf({ calls }: { calls: readonly PricedCall[] }) {
  return calls.length > 0 ? <CostSoFar calls={calls} /> : <span className="quiet">–</span>;
}

const sorted = (name: string, kind?: Column["kind"], show?: Column["show"]): Column => ({
  name,
  kind,
  show,
  isSortable: true,
});
const COLUMNS: readonly Column[] = [
  sorted("state", "state", (row) => <State value={isGone(row) ? "ended" : row.state} />),
  sorted("caller"),
  sorted("callee"),
  sorted("customer_account", "account"),
  sorted("mapping_gateway", "gateway"),
  sorted("vendor_account", "account"),
  sorted("routing_gateway", undefined, (row) => <Called row={row} />),
  sorted("started_at", "moment"),
  sorted("duration", "number", (row) =>
    isOver(row) ? <span className="quiet">–</span> : <Age since={String(row.answered_at ?? row.started_at)} />,
  ),
  {
    name: "cost_so_far",
    kind: "number",
    show: (row) => <CostOf calls={isGone(row) ? [] : pricedCalls([row])} />,
  },
  { name: "codec" },
  { name: "call_id", kind: "call" },
];

/** By what a field orders calls: their duration grows with the age of its begin. */
function orderOf(row: Row, field: string): string | number {
  if (field === "duration") return -Date.parse(String(row.answered_at ?? row.started_at));
  return String(row[field] ?? "");
}

/** Calls in the order of a field, a minus for the last first; those without it are the last in either. */
export function inOrder(rows: readonly Row[], sort: string | undefined): readonly Row[] {
  const field = sort?.replace(/^-/, "");
  if (!field) return rows;
  const sign = sort?.startsWith("-") ? -1 : 1;
  return rows
    .map((row) => ({ row, by: orderOf(row, field) }))
    .sort((one, other) => {
      if (one.by === other.by) return 0;
      if (one.by === "" || other.by === "") return one.by === "" ? 1 : -1;
      return one.by < other.by ? -sign : sign;
    })
    .map(({ row }) => row);
}

export function CallsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/calls" });
  const go = useNavigate({ from: "/calls" });
  const isLive = useMay("GET /events");
  const isOfAccount = useIsOfAccount();
  const running = useRunningCalls(isLive);
  const below = useAccountsBelow(search.agent, search.all);
  const error = running.error ?? below.error;
  const read = error ? "error" : below.isPending ? "pending" : running.read;
  const rows = running.rows;
  const mayEnd = useMay("DELETE /calls/{call_id}");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asks, setAsks] = useState(false);
  const [asked, setAsked] = useState<readonly Row[]>([]);
  const [isTableUsed, setTableUsed] = useState(false);
  const wanted = (search.q ?? "").toLowerCase();
  const fitting = useMemo(() => {
    const fields = Object.values(GROUPS).filter((field) => search[field]);
    const ofGroups = fields.length
      ? rows.filter((row) => fields.every((field) => groupOf(row, field) === search[field]))
      : rows;
    const ofAgent = below.names ? ofGroups.filter((row) => below.names?.has(String(row.customer_account))) : ofGroups;
    const ofAccount = search.account ? callsOfAccount(ofAgent, search.account) : ofAgent;
    const found = wanted
      ? ofAccount.filter((row) =>
          FITTING.some((name) =>
            String(row[name] ?? "")
              .toLowerCase()
              .includes(wanted),
          ),
        )
      : ofAccount;
    return inOrder(found, search.sort);
  }, [rows, wanted, search, below.names]);
  const ending = useMemo(
    () => (chosen.size > 0 ? rows.filter((row) => chosen.has(String(row.call_id))) : NO_CALLS),
    [rows, chosen],
  );
  const hangUp = useMutation({
    mutationFn: async (calls: readonly Row[]) => {
      const wanted = calls.map((row) => String(row.call_id));
      let ended = 0;
      const end = async (call_id: string) => {
        const { outcome } = await content(client.DELETE("/calls/{call_id}", { params: { path: { call_id } } }));
        ended += (outcome as { ended: number }).ended;
      };
      while (wanted.length > 0) await Promise.all(wanted.splice(0, ENDED_AT_ONCE).map((id) => end(id).catch(goneWell)));
      return { ended, count: calls.length };
    },
    onSuccess: () => {
      setChosen(new Set());
      setAsks(false);
    },
  });
  const named = hangUp.isPending || ending.length === 0 ? asked : ending;
  // while the calls cannot be read, nothing is known of their ends
  const areOver = ending.length === 0 && read === "success" && !hangUp.isPending;
  useEffect(() => {
    if (areOver) setAsks(false);
  }, [areOver]);
  const groupings = ["none", "customer", ...(isOfAccount ? [] : ["vendor"]), "destination"];
  const group = search.group && groupings.includes(search.group) ? (search.group as Grouping) : "none";
  const field = group === "none" ? null : GROUPS[group];
  const groups = useMemo(() => (field ? grouped(fitting, field) : null), [fitting, field]);
  const keyOf = (row: Row) => String(row[field ?? "call_id"]);
  const still = useStillRows(groups ?? fitting, groups ?? rows, {
    keyOf,
    isUsed: isTableUsed || ending.length > 0,
    asked: search,
  });
  const choose = (calls: readonly Row[], isWanted: boolean) => {
    const next = new Set(chosen);
    for (const call of calls) isWanted ? next.add(String(call.call_id)) : next.delete(String(call.call_id));
    setChosen(next);
  };
  const columns = useMemo((): Column[] => {
    const choice = (row: Row) => {
      if (isGone(row)) return null;
      const id = String(row.call_id);
      return (
        <input
          type="checkbox"
          aria-label={t("calls.select", { caller: row.caller, callee: row.callee })}
          checked={chosen.has(id)}
          onChange={(event) => {
            const isWanted = event.currentTarget.checked;
            setChosen((before) => new Set(isWanted ? [...before, id] : [...before].filter((each) => each !== id)));
          }}
        />
      );
    };
    return [...(mayEnd ? [{ name: "choose", show: choice }] : []), ...columnsOfCalls(COLUMNS, isOfAccount)];
  }, [mayEnd, isOfAccount, chosen, t]);
  const ask = () => {
    hangUp.reset();
    setAsked(ending);
    setAsks(true);
  };
  const groupChoice = (row: Row, field: string) => {
    if (isGone(row)) return null;
    const of = row.of as readonly Row[];
    return (
      <input
        type="checkbox"
        aria-label={t("calls.select_group", { name: row[field] || "–" })}
        checked={of.every((call) => chosen.has(String(call.call_id)))}
        onChange={(event) => choose(of, event.currentTarget.checked)}
      />
    );
  };
  /** The name of a group, which leads to its calls; other filters stay. */
  const callsOf = (name: string) => {
    if (!name) return <span className="quiet">–</span>;
    return (
      <Go to={`/calls?${queryText({ ...search, group: undefined, [field ?? ""]: name })}`} isOfRow>
        {name}
      </Go>
    );
  };
  const groupColumns = (field: string): readonly Column[] => [
    ...(mayEnd ? [{ name: "choose", show: (row: Row) => groupChoice(row, field) }] : []),
    { name: field, show: (row) => callsOf(String(row[field])) },
    { name: "calls", kind: "number", show: (row) => (isGone(row) ? 0 : Number(row.calls)) },
    { name: "answered", kind: "number", show: (row) => (isGone(row) ? 0 : Number(row.answered)) },
    {
      name: "cost_so_far",
      kind: "number",
      show: (row) => <CostOf calls={isGone(row) ? [] : pricedCalls(row.of as readonly Row[])} />,
    },
  ];
  const number = t("calls.number_of", { count: fitting.length });
  return (
    <Page
      title={t("nav.calls")}
      needs="GET /calls"
      actions={
        mayEnd && (
          <Button color="red" size="xs" disabled={ending.length === 0 || running.error !== null} onClick={ask}>
            {t("calls.hang_up")} {ending.length || ""}
          </Button>
        )
      }
    >
      <Group gap="xs" align="end">
        <TextInput
          label={t("calls.filter")}
          value={search.q ?? ""}
          onChange={(event) => {
            const q = event.currentTarget.value || undefined;
            void go({ search: (before) => ({ ...before, q }), replace: true });
          }}
        />
        <SegmentedControl
          aria-label={t("calls.group")}
          data={groupings.map((value) => ({ value, label: t(`calls.${value}`) }))}
          value={group}
          onChange={(value) => go({ search: (before) => ({ ...before, group: value }) })}
        />
        {NARROWINGS.filter(({ field }) => search[field]).map(({ field, word }) => (
          <Button
            key={field}
            size="xs"
            variant="default"
            rightSection={<span aria-hidden="true">✕</span>}
            title={t("state.clear")}
            onClick={() => {
              const more = field === "agent" ? { all: undefined } : {};
              void go({ search: (before) => ({ ...before, [field]: undefined, ...more }) });
            }}
          >
            {field === "agent"
              ? t(search.all ? "calls.below_all" : "calls.below", { name: search[field] })
              : t("calls.only", { group: t(`calls.${word}`), name: search[field] })}
          </Button>
        ))}
        {/* calls come and go all the time: the number is said aloud where another filter is typed, and not with each of them */}
        <span>{read === "success" && number}</span>
        <VisuallyHidden role="status">
          {read === "success" && search.q && <AsItCame key={search.q} text={number} />}
        </VisuallyHidden>
        {!isLive && <span className="quiet">{t("calls.not_live", { seconds: SILENT_MS / 1000 })}</span>}
        {running.isCrowded && <span className="quiet">{t("calls.crowded", { seconds: SILENT_MS / 1000 })}</span>}
      </Group>
      <ProblemText error={error} />
      {running.error && rows.length > 0 && (
        <span role="status">{t("calls.as_of", { moment: moment(running.asOf, new Date()) })}</span>
      )}
      {hangUp.data && <span role="status">{t("calls.hung_up", hangUp.data)}</span>}
      <Table
        label={t("nav.calls")}
        columns={field ? groupColumns(field) : columns}
        rows={still.shown}
        rowKey={keyOf}
        sort={search.sort}
        onSort={field ? undefined : (sort) => go({ search: (before) => ({ ...before, sort }) })}
        read={read}
        onUse={setTableUsed}
        isGone={isOver}
      />
      {still.more > 0 && (
        <Group gap="xs">
          <span className="quiet">{t("calls.still")}</span>
          <Button size="compact-xs" variant="default" onClick={still.update}>
            {t("calls.show_new", { count: still.more })}
          </Button>
        </Group>
      )}
      <Confirm
        opened={asks}
        title={t("calls.hang_up_title", { count: named.length })}
        lead={<Ending calls={named} />}
        act={t("calls.hang_up")}
        isAtWork={hangUp.isPending}
        error={hangUp.error}
        onAct={() => {
          setAsked(named); // the question stays as it is while they end
          hangUp.mutate(named);
        }}
        onClose={() => setAsks(false)}
      />
    </Page>
  );
}

/** A text as it was at first. */
function AsItCame({ text }: { text: string }) {
  return useState(text)[0];
}

/** The calls that are hung up, the first of them by name. */
function Ending({ calls }: { calls: readonly Row[] }) {
  const { t } = useTranslation();
  return (
    <>
      <ul className="words">
        {calls.slice(0, NAMED_CALLS).map((row) => (
          <li key={String(row.call_id)}>
            <span dir="ltr">
              <bdi>{String(row.caller || "–")}</bdi> → <bdi>{String(row.callee || "–")}</bdi>
            </span>
            {row.customer_account ? `, ${row.customer_account}` : ""}
          </li>
        ))}
        {calls.length > NAMED_CALLS && <li>{t("calls.more", { count: calls.length - NAMED_CALLS })}</li>}
      </ul>
      {t("calls.hang_up_lead")}
    </>
  );
}

/** A call that has ended by itself meanwhile is no failure. */
function goneWell(error: unknown): void {
  if (!(error instanceof Problem && error.status === HTTP_NOT_FOUND)) throw error;
}

/** Calls by a field: how many there are, how many are answered, and which; the most first. */
export function grouped(rows: readonly Row[], field: string): Row[] {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const name = groupOf(row, field);
    const calls = found.get(name);
    if (calls) calls.push(row);
    else found.set(name, [row]);
  }
  return [...found]
    .map(([name, calls]) => ({
      [field]: name,
      ...(calls[0]?.[OLD] ? { [OLD]: true } : {}),
      calls: calls.length,
      answered: calls.reduce((count, row) => (row.answered_at ? count + 1 : count), 0),
      of: calls, // what they cost is added up for the groups that are drawn
    }))
    .sort((one, other) => other.calls - one.calls);
}
