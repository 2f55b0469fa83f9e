/** Each report as a table, and as the files that the API makes of it. */

import { Button, Group, Select, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { client, content, download, queryText, type Row } from "../api/client";
import { amount, dayBegin, enteredMoment, localMinute } from "../format";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { type Column, Table } from "../parts/table";
import { type Kind, Value } from "../parts/values";
import { zoneName } from "../zone";

const FIRST = "revenue";
const SPANS = ["whole", "hour", "day", "week", "month"];
const FILES = [
  ["csv", "text/csv"],
  ["xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  ["pdf", "application/pdf"],
] as const;

interface Report {
  columns: { name: string; kind: string; meaning: string }[];
  rows: Row[];
  totals: Row[];
  missing: number;
}

interface Order {
  since?: string;
  until?: string;
  group?: string;
  account?: string;
  gateway?: string;
}

/** Read a report in the zone of the viewer. */
export function reportOf(name: string, order: Order): Promise<Report> {
  const query = { ...order, zone: zoneName() } as never;
  return content(
    client.GET("/reports/{name}", { params: { path: { name } as never, query } }),
  ) as unknown as Promise<Report>;
}

const KINDS: Record<string, Kind> = { money: "money", count: "number", seconds: "number", percent: "number" };
const LINKS: Record<string, Kind> = {
  customer_account: "account",
  vendor_account: "account",
  mapping_gateway: "gateway",
  routing_gateway: "gateway",
};

function columnsOf(report: Report): Column[] {
  return report.columns.map(({ name, kind }) => ({
    name,
    kind: LINKS[name] ?? KINDS[kind] ?? "text",
    show: kind === "money" ? (row) => amount(String(row[name] ?? "–")) : undefined,
  }));
}

export function ReportTable(props: { label: string; report: Report | undefined; isLoading: boolean }) {
  const { t } = useTranslation();
  const { report } = props;
  const rows = report?.rows ?? [];
  const totals = rows.length > 1 ? (report?.totals ?? []) : [];
  const first = report?.columns[0]?.name ?? "";
  const summed = totals.map((total) => ({ ...total, [first]: t("reports.total") }));
  const columns = report ? columnsOf(report) : [];
  const isTotal = (row: Row) => (summed as Row[]).includes(row);
  const named = columns.map((column, index) =>
    index === 0
      ? {
          ...column,
          show: (row: Row) =>
            isTotal(row) ? <b>{String(row[first])}</b> : <Value row={row} name={first} kind={column.kind ?? "text"} />,
        }
      : column,
  );
  return (
    <Table
      label={props.label}
      columns={named}
      rows={[...rows, ...summed]}
      rowKey={(_row, index) => String(index)}
      isLoading={props.isLoading}
    />
  );
}

export function ReportsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/reports" });
  const go = useNavigate({ from: "/reports" });
  const name = search.name ?? FIRST;
  const order = {
    since: search.since ?? dayBegin(new Date()),
    until: search.until,
    group: search.group,
    account: search.account,
  };
  const kinds = useQuery({
    queryKey: ["reports"],
    queryFn: () => content(client.GET("/reports")),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const found = useQuery({ queryKey: ["report", name, order], queryFn: () => reportOf(name, order) });
  const set = (field: string, value: string | null) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }), replace: true });
  const asked = queryText({ ...order, zone: zoneName() });
  const known = kinds.data as { name: string; meaning: string }[] | undefined;
  const day = (field: "since" | "until") => (
    <TextInput
      type="date"
      label={t(`cdrs.${field}`)}
      defaultValue={localMinute(order[field]).slice(0, 10)}
      onBlur={(event) => set(field, enteredMoment(event.currentTarget.value) ?? null)}
    />
  );
  return (
    <Page
      title={t("nav.reports")}
      needs="GET /reports/{name}"
      actions={
        <Group gap="xs">
          {FILES.map(([form, accept]) => (
            <Button
              key={form}
              size="xs"
              variant="default"
              onClick={() => download(`/reports/${name}?${asked}`, accept, `${name}.${form}`)}
            >
              {t(`reports.${form}`)}
            </Button>
          ))}
        </Group>
      }
    >
      <Group align="end" gap="xs">
        <Select
          label={t("reports.choose")}
          data={known?.map((each) => each.name) ?? [name]}
          value={name}
          searchable
          onChange={(value) => set("name", value)}
        />
        {day("since")}
        {day("until")}
        <Select
          label={t("reports.group")}
          data={SPANS.map((value) => ({ value, label: t(`reports.${value}`) }))}
          value={order.group ?? null}
          onChange={(value) => set("group", value)}
        />
        <TextInput
          label={t("column.account")}
          defaultValue={order.account ?? ""}
          onBlur={(event) => set("account", event.currentTarget.value)}
        />
      </Group>
      <Text className="quiet">{known?.find((each) => each.name === name)?.meaning}</Text>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <ReportTable label={name} report={found.data} isLoading={found.isPending} />
    </Page>
  );
}
