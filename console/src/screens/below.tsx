/** Accounts below an agent and their calls, for its own first page and for its page. */

import { SegmentedControl, Title } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { pageOf } from "../api/client";
import { Age } from "../parts/age";
import { Part } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Rest, RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { USE_MS, useCharged } from "./accounts";
import { SILENT_MS } from "./running";

const COLUMNS: readonly Column[] = [
  { name: "id", kind: "account" },
  { name: "name" },
  { name: "agent" },
  { name: "balance", kind: "money" },
  { name: "available", kind: "money" },
  { name: "charged_today", kind: "money" },
  { name: "calls_now", kind: "number" },
  { name: "blocked", kind: "state" },
];

const LATEST = 50;
const RUNNING: readonly Column[] = [
  { name: "state", kind: "state" },
  { name: "caller" },
  { name: "callee" },
  { name: "customer_account", kind: "account" },
  { name: "started_at", kind: "moment" },
  {
    name: "duration",
    kind: "number",
    show: (row) => <Age since={String(row.answered_at ?? row.started_at)} />,
  },
  { name: "call_id", kind: "call" },
];
const RECORDS: readonly Column[] = [
  { name: "started_at", kind: "moment" },
  { name: "caller_in" },
  { name: "callee_in" },
  { name: "customer_account", kind: "account" },
  { name: "end_reason", kind: "state" },
  { name: "hold_time_s", kind: "number" },
  { name: "fee", kind: "money" },
  { name: "call_id", kind: "call" },
];

/** Accounts directly below an agent, or all, with their calls; nothing where there are none. */
export function Below({
  agent,
  isWhole,
  onWhole,
}: {
  agent: string;
  isWhole: boolean;
  onWhole: (isWhole: boolean) => void;
}) {
  const { t } = useTranslation();
  const sees = useMay("GET /balances");
  const below = { agent, all: isWhole };
  const found = useRows(
    "/balances",
    { ...below, calls: true },
    { enabled: sees, placeholderData: keepPreviousData, refetchInterval: USE_MS },
  );
  const withCharged = useCharged(below, found.pages.length);
  if (!found.error && found.rows.length === 0) return null;
  return (
    <>
      <Part title={t("portal.below")}>
        <SegmentedControl
          size="xs"
          aria-label={t("portal.below")}
          data={["direct", "all"].map((value) => ({ value, label: t(`portal.${value}`) }))}
          value={isWhole ? "all" : "direct"}
          onChange={(value) => onWhole(value === "all")}
        />
        <ProblemText error={found.error} again={found.again} />
        <RowCount of={found} />
        <Table
          label={t("portal.below")}
          columns={COLUMNS}
          rows={found.rows.map(withCharged)}
          rowKey={(row) => String(row.id)}
          {...found.table}
        />
      </Part>
      <CallsBelow agent={agent} isWhole={isWhole} />
    </>
  );
}

/** Calls of the accounts below an agent: those that run, and the last ones. */
function CallsBelow({ agent, isWhole }: { agent: string; isWhole: boolean }) {
  const { t } = useTranslation();
  const sees = { running: useMay("GET /calls"), records: useMay("GET /cdrs") };
  const below = { agent, all: isWhole || undefined };
  const search = { agent, all: isWhole ? "true" : undefined };
  const running = useQuery({
    queryKey: ["calls below", below],
    queryFn: () => pageOf("/calls", { ...below, sort: "-started_at", limit: LATEST }),
    enabled: sees.running,
    placeholderData: keepPreviousData,
    refetchInterval: SILENT_MS,
  });
  const records = useQuery({
    queryKey: ["cdrs below", below],
    queryFn: () => pageOf("/cdrs", { ...below, limit: LATEST }),
    enabled: sees.records,
    placeholderData: keepPreviousData,
    refetchInterval: USE_MS,
  });
  const part = (title: string, found: typeof running, columns: readonly Column[], way: ReactNode) => (
    <>
      <Title order={2} size="h4">
        {title}
      </Title>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <Table
        label={title}
        columns={columns}
        rows={found.data?.items ?? []}
        rowKey={(row) => String(row.call_id)}
        read={found.isPlaceholderData ? "pending" : found.status}
      />
      <Rest page={found.data}>{way}</Rest>
    </>
  );
  return (
    <>
      {sees.running &&
        part(
          t("portal.below_running"),
          running,
          RUNNING,
          <Link to="/calls" search={search}>
            {t("portal.below_all_running")}
          </Link>,
        )}
      {sees.records &&
        part(
          t("portal.below_calls"),
          records,
          RECORDS,
          <Link to="/cdrs" search={search}>
            {t("customer.all_calls")}
          </Link>,
        )}
    </>
  );
}
