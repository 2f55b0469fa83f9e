/** Accounts with their money; one click to each. */

import { Button, Group, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { listText, type Query, type Row } from "../api/client";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { useStateWord } from "../parts/values";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";

const PAGE_ROWS = 1_000;
/** Most accounts of a search whose consumption is read: the server adds it up for those that are named. */
const NAMED_MAX = 100;
/** Servers in front of the switch take requests of 8 kB. */
const NAMED_CHARS_MAX = 7_000;
const TYPED_MS = 500;
const COLUMNS: readonly Column[] = [
  { name: "id", kind: "account", isSortable: true },
  { name: "name" },
  { name: "category", kind: "state" },
  { name: "agent" },
  { name: "balance", kind: "money", isSortable: true },
  { name: "available", kind: "money", isSortable: true },
  { name: "overdraft_limit", kind: "money" },
  { name: "reserved", kind: "money", isSortable: true },
  { name: "charged_today", kind: "money" },
  { name: "calls_now", kind: "number" },
  { name: "last_call", kind: "moment" },
  { name: "gateways", kind: "number" },
  { name: "phones", kind: "number" },
  { name: "blocked", kind: "state" },
];

const TYPES = ["direct", "clearing", "partner"];
/** After how long lists of accounts are read again. */
export const USE_MS = 30_000;
/** After how long the sums of today are read again: the server adds up the calls of the day. */
export const CHARGED_MS = 120_000;

/**
 * What each account of some pages of balances was charged today, and how many gateways and phones it has: read behind
 * them, and for no page none. Balances do not wait for it, and stand without it where it cannot be read.
 */
export function useCharged(query: Query, pages: number): (row: Row) => Row {
  const found = useRows(
    "/balances",
    { ...query, consumption: true, counts: true, fields: "id,charged_today,gateways,phones" },
    { enabled: pages > 0, pagesMin: pages, refetchInterval: CHARGED_MS },
  );
  const more = new Map(found.rows.map((row) => [row.id, row]));
  return (row) => ({ ...row, ...more.get(row.id) });
}

export function AccountsScreen() {
  const { t } = useTranslation();
  const { may } = useSession();
  const { q, sort, type, blocked, currency } = useSearch({ from: "/accounts" });
  const go = useNavigate({ from: "/accounts" });
  const word = useStateWord();
  const [wanted = ""] = useDebouncedValue(q, TYPED_MS);
  const order = { limit: PAGE_ROWS, sort, type, blocked, currency };
  const found = useRows(
    "/balances",
    { ...order, containing: wanted, last_call: true, calls: true },
    { refetchInterval: USE_MS, placeholderData: keepPreviousData },
  );
  const { rows } = found;
  const isFound = wanted !== "" && found.table.read === "success" && !found.hasMore && rows.length <= NAMED_MAX;
  const names = isFound ? listText(rows.map((row) => String(row.id))) : "";
  const isShort = encodeURIComponent(names).length <= NAMED_CHARS_MAX;
  const [named] = useDebouncedValue(isShort ? names : "", TYPED_MS);
  const withCharged = useCharged(
    wanted ? { limit: PAGE_ROWS, accounts: named } : order,
    wanted ? Number(named !== "") : found.pages.length,
  );
  // money of several currencies has no order: those that are there can be chosen
  const currencies = [...new Set([currency, ...found.rows.map((row) => row.currency)])].filter(Boolean).map(String);
  const choice = (name: string, value: string | undefined, data: { value: string; label: string }[]) => (
    <Select
      key={name}
      label={t([`column.${name}`])}
      data={data}
      clearable
      clearButtonProps={{ "aria-label": t("act.clear") }}
      value={value ?? null}
      onChange={(chosen) => go({ search: (before) => ({ ...before, [name]: chosen ?? undefined }) })}
    />
  );
  return (
    <Page
      title={t("nav.customers")}
      needs="GET /balances"
      actions={
        <Group gap="xs">
          {may.has("GET /accounts") && (
            <Button size="xs" variant="default" component={Link} to="/objects/accounts">
              {t("kind.accounts")}
            </Button>
          )}
          {may.has("POST /accounts") && (
            <Button size="xs" variant="default" component={Link} to="/new/accounts">
              {t("customers.new_account")}
            </Button>
          )}
          {may.has("POST /customers") && (
            <Button size="xs" component={Link} to="/customers/new">
              {t("customers.new")}
            </Button>
          )}
        </Group>
      }
    >
      <LastDone />
      <Group align="end" gap="xs">
        <TextInput
          label={t("calls.filter")}
          value={q ?? ""}
          onChange={(event) => {
            const text = event.currentTarget.value || undefined;
            void go({ search: (before) => ({ ...before, q: text }), replace: true });
          }}
        />
        {[
          choice(
            "type",
            type,
            TYPES.map((value) => ({ value, label: word(value) })),
          ),
          choice("blocked", blocked, [
            { value: "true", label: word("blocked") },
            { value: "false", label: t("customers.not_blocked") },
          ]),
          choice(
            "currency",
            currency,
            currencies.map((value) => ({ value, label: value })),
          ),
        ]}
        <RowCount of={found} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("nav.customers")}
        columns={COLUMNS}
        rows={rows.map(withCharged)}
        rowKey={(row) => String(row.id)}
        sort={sort}
        onSort={(by) => go({ search: (before) => ({ ...before, sort: by }) })}
        {...found.table}
        onClear={q || type || blocked || currency ? () => go({ search: { sort } }) : undefined}
      />
    </Page>
  );
}
