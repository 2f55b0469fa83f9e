/** Calls that have ended: narrowed by the address, so that a search is a link. */

import { Button, Checkbox, Group, Menu, TextInput } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { Navigate, useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { type FormEvent, type Ref, useRef } from "react";
import { queryText } from "../api/client";
import { localMinute } from "../format";
import type { Narrowing } from "../narrowing";
import { Download, WORKBOOK } from "../parts/download";
import { AnsweredChoice, ReasonChoice } from "../parts/ended";
import { MomentInput } from "../parts/minute";
import { useEntered } from "../parts/narrow";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { SavedViews } from "../parts/savedviews";
import { type Column, Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { Money } from "../parts/values";
import { useIsOfAccount, useSession } from "../session";
import { useTranslation } from "../text/translation";
import { columnsOfCalls } from "./columns";

const FIELDS = ["caller", "callee", "account", "gateway", "area", "sip_call_id"] as const;
/** Fields of one side, and of rates: shown where a link has them. */
const OF_LINKS = [
  ...(["agent", "customer", "vendor", "gateway", "mapping_gateway", "routing_gateway", "rate_type"] as const),
  ...(["currency", "vendor_currency", "sip_code", "hangup_source"] as const),
];
/** Criteria that would have the database read each call: it refuses them without one of `INDEXED`. */
const READ_ALL = [
  ...["answered", "area", "loss", "rate_type", "currency", "vendor_currency"],
  ...["sip_code", "hangup_source"],
];
const INDEXED = [
  ...["since", "ended_since", "account", "customer", "vendor", "gateway", "mapping_gateway", "routing_gateway"],
  ...["caller", "callee", "reason", "sip_call_id"],
];
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A search as it is entered; of the last day, where it would have the database read each call. */
export function searchOf(wanted: Narrowing, now: number): Narrowing {
  const isEntered = (name: string) => Boolean(wanted[name]);
  if (!READ_ALL.some(isEntered) || INDEXED.some(isEntered)) return wanted;
  const end = Math.min(now, Date.parse(wanted.until ?? "") || now);
  return { ...wanted, since: new Date(Math.floor((end - DAY_MS) / MINUTE_MS) * MINUTE_MS).toISOString() };
}

/** A search as it is kept under a name: without a begin that was filled in, where it will be filled in anew. */
export function keptOf(search: Narrowing, filled: string | undefined): Narrowing {
  const entered = { ...search, since: undefined };
  return filled && search.since === filled && searchOf(entered, Date.now()) !== entered ? entered : search;
}

const COLUMNS: readonly Column[] = [
  { name: "started_at", kind: "moment" },
  { name: "caller_in" },
  { name: "callee_in" },
  { name: "customer_account", kind: "account" },
  { name: "mapping_gateway", kind: "gateway" },
  { name: "routing_gateway", kind: "gateway" },
  { name: "end_reason", kind: "state" },
  { name: "sip_code", kind: "number" },
  { name: "hold_time_s", kind: "number" },
  { name: "fee", kind: "money" },
  { name: "call_id", kind: "call" },
  { name: "vendor_account", kind: "account" },
  { name: "cost", kind: "money", show: (row) => <Money value={row.cost} currency={row.vendor_currency} /> },
  { name: "billed_seconds", kind: "number" },
  { name: "hangup_source", kind: "state" },
  { name: "answered_at", kind: "moment" },
  { name: "ended_at", kind: "moment" },
  { name: "pdd_ms", kind: "number" },
];
const FIRST_COLUMNS = COLUMNS.slice(0, 11).map((column) => column.name);

/** The chosen ones among the columns that there are; those of the beginning where there is none of them. */
export function shownOf(known: readonly Column[], chosen: readonly string[]): string[] {
  const names = known.map(({ name }) => name);
  const shown = names.filter((name) => chosen.includes(name));
  return shown.length > 0 ? shown : names.filter((name) => FIRST_COLUMNS.includes(name));
}

/** The columns to keep: of those that this person has not, what another one of the browser has chosen stays. */
export const keptColumns = (known: readonly Column[], kept: readonly string[], chosen: readonly string[]): string[] => [
  ...chosen,
  ...kept.filter((name) => !known.some((column) => column.name === name)),
];

export function CdrsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/cdrs" });
  const go = useNavigate({ from: "/cdrs" });
  const [kept, keep] = useLocalStorage({ key: "vosd.cdrs.columns", defaultValue: FIRST_COLUMNS });
  const { columns, ...narrowed } = search;
  const { account: own } = useSession();
  const known = columnsOfCalls(COLUMNS, Boolean(own));
  const shown = shownOf(known, columns?.split(",") ?? kept);
  const found = useRows("/cdrs", narrowed);
  const { rows } = found;
  // the field of what is no moment is empty, and so is the next search
  const [wanted, setWanted] = useEntered<Narrowing>({
    ...narrowed,
    since: localMinute(narrowed.since) ? narrowed.since : undefined,
    until: localMinute(narrowed.until) ? narrowed.until : undefined,
  });
  const form = useRef<HTMLFormElement>(null);
  // the accounts of agents and customers are few: all their calls may be read
  const complete = (wanted: Narrowing) => (own ? wanted : searchOf(wanted, Date.now()));
  // not by `useLocation`: drawn again on the way, `Navigate` would begin that way anew, for ever
  const { filled } = useRouter().history.location.state;
  const way = (wanted: Narrowing) => {
    const search = complete(wanted);
    return { search, state: { filled: wanted.since ? filled : search.since } };
  };
  const narrow = (wanted: Narrowing) => void go(way(wanted));
  /** Search for what is entered, before it is saved or exported; tell whether all of it is complete. */
  const apply = () => {
    const isComplete = form.current?.reportValidity() ?? true;
    if (isComplete && queryText(wanted) !== queryText(narrowed)) narrow({ ...wanted, columns });
    return isComplete;
  };
  const asked = queryText(complete(wanted));
  // an address that was typed by hand
  if (complete(narrowed) !== narrowed) return <Navigate to="/cdrs" {...way(search)} replace />;
  const choose = (chosen: string[]) => {
    keep(keptColumns(known, kept, chosen));
    void go({ search: { ...search, columns: chosen.join(",") }, replace: true, state: true });
  };
  return (
    <Page
      title={t("nav.cdrs")}
      needs="GET /cdrs"
      tools={
        <Group gap="xs">
          <ColumnChoice known={known} shown={shown} onChange={choose} />
          <SavedViews of="cdrs" search={keptOf({ ...wanted, columns }, filled)} apply={apply} onChoose={narrow} />
          <Download path={`/cdrs?${asked}`} apply={apply} accept="text/csv" name="calls.csv">
            {t("cdrs.csv")}
          </Download>
          <Download path={`/cdrs?${asked}`} apply={apply} accept={WORKBOOK} name="calls.xlsx">
            {t("reports.xlsx")}
          </Download>
        </Group>
      }
    >
      <LastDone />
      <Narrow
        key={queryText(narrowed)}
        form={form}
        search={narrowed}
        wanted={wanted}
        onWanted={setWanted}
        onSearch={() => narrow({ ...wanted, columns })}
      />
      <RowCount of={found} />
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("nav.cdrs")}
        columns={known.filter((column) => shown.includes(column.name))}
        rows={rows}
        rowKey={(row) => String(row.call_id)}
        {...found.table}
      />
    </Page>
  );
}

/** What is entered, with a field of it; whether all accounts below an agent are meant goes with the agent. */
function withField({ all, ...wanted }: Narrowing, field: string, text: string): Narrowing {
  const entered = { ...wanted, [field]: text || undefined };
  return entered.agent ? { ...entered, all } : entered;
}

function Narrow({
  form,
  search,
  wanted,
  onWanted: setWanted,
  onSearch,
}: {
  form: Ref<HTMLFormElement>;
  search: Narrowing;
  /** What is entered. */
  wanted: Narrowing;
  onWanted: (wanted: Narrowing) => void;
  onSearch: () => void;
}) {
  const { t } = useTranslation();
  const isOfAccount = useIsOfAccount();
  // gateways of vendors are no criterion for agents and customers
  const first = FIELDS.map((field) => (isOfAccount && field === "gateway" ? "mapping_gateway" : field));
  const fields = new Set([...first, ...OF_LINKS.filter((field) => search[field] !== undefined)]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSearch();
  };
  return (
    <form ref={form} onSubmit={submit}>
      <Group gap="xs" align="end">
        {(["since", "until"] as const).map((field) => (
          <MomentInput
            key={field}
            label={t(`cdrs.${field}`)}
            isEnd={field === "until"}
            value={wanted[field]}
            onChange={(moment) => setWanted({ ...wanted, [field]: moment || undefined })}
          />
        ))}
        {[...fields].map((field) => (
          <TextInput
            key={field}
            label={t(`cdrs.${field}`)}
            value={wanted[field] ?? ""}
            onChange={(event) => setWanted(withField(wanted, field, event.currentTarget.value))}
          />
        ))}
        {wanted.agent && (
          <Checkbox
            label={t("cdrs.all")}
            checked={wanted.all === "true"}
            onChange={(event) => setWanted({ ...wanted, all: event.currentTarget.checked ? "true" : undefined })}
            pb={8}
          />
        )}
        <ReasonChoice
          value={wanted.reason}
          onChange={(reason) => setWanted({ ...wanted, reason: reason ?? undefined })}
        />
        <AnsweredChoice
          value={wanted.answered}
          onChange={(answered) => setWanted({ ...wanted, answered: answered ?? undefined })}
        />
        <Button type="submit">{t("cdrs.apply")}</Button>
      </Group>
    </form>
  );
}

function ColumnChoice({
  known,
  shown,
  onChange,
}: {
  known: readonly Column[];
  shown: string[];
  onChange: (shown: string[]) => void;
}) {
  const { t } = useTranslation();
  return (
    <Menu closeOnItemClick={false}>
      <Menu.Target>
        <Button size="xs" variant="default">
          {t("cdrs.columns")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {known.map(({ name }) => (
          <Menu.Item
            key={name}
            disabled={shown.length === 1 && shown.includes(name)}
            onClick={() => onChange(shown.includes(name) ? shown.filter((each) => each !== name) : [...shown, name])}
          >
            {shown.includes(name) ? "✓ " : ""}
            {t(`column.${name}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
