/** Gateways as they do now, and one of them with its definition. */

import { Group, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { client, content, pageOf, type Row } from "../api/client";
import { Facts, Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { STANDINGS, standingOf } from "../parts/standing";
import { Table } from "../parts/table";
import { Value } from "../parts/values";
import { useMay } from "../session";
import { BlockOf } from "./account";
import { Tree } from "./call";
import { gatewayColumns } from "./columns";

const READ_MS = 4_000;
const ROWS_MAX = 1_000;

export function GatewaysScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/gateways" });
  const go = useNavigate({ from: "/gateways" });
  const found = useQuery({
    queryKey: ["quality", search.sort],
    queryFn: () => pageOf("/gateways/quality", { limit: ROWS_MAX, sort: search.sort }),
    refetchInterval: READ_MS,
  });
  const wanted = (search.q ?? "").toLowerCase();
  const rows = (found.data?.items ?? []).filter(
    (row) => String(row.gateway).toLowerCase().includes(wanted) && (!search.state || standingOf(row) === search.state),
  );
  return (
    <Page title={t("nav.gateways")} needs="GET /gateways/quality">
      <Group align="end" gap="xs">
        <TextInput
          label={t("calls.filter")}
          value={search.q ?? ""}
          onChange={(event) => {
            const q = event.currentTarget.value || undefined;
            void go({ search: (before) => ({ ...before, q }), replace: true });
          }}
        />
        <Select
          label={t("column.state")}
          data={STANDINGS.map((value) => ({ value, label: t(`value.${value}`) }))}
          clearable
          clearButtonProps={{ "aria-label": t("act.undo") }}
          value={search.state ?? null}
          onChange={(state) => go({ search: (before) => ({ ...before, state: state ?? undefined }), replace: true })}
        />
        <span className="quiet" role="status">
          {t("state.rows", { count: rows.length })}
        </span>
      </Group>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <Table
        label={t("nav.gateways")}
        columns={gatewayColumns}
        rows={rows}
        rowKey={(row) => `${row.kind} ${row.gateway}`}
        sort={search.sort}
        onSort={(sort) => go({ search: (before) => ({ ...before, sort }), replace: true })}
        isLoading={found.isPending}
        onClear={search.q || search.state ? () => go({ search: { sort: search.sort }, replace: true }) : undefined}
      />
    </Page>
  );
}

export function GatewayScreen() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/gateways/$name" });
  const mayBlock = useMay("POST /gateways/{name}/block");
  const found = useQuery({
    queryKey: ["quality", "one", name],
    queryFn: () => pageOf("/gateways/quality", { gateway: name }),
    refetchInterval: READ_MS,
  });
  const sheet = useQuery({
    queryKey: ["gateway", name],
    queryFn: () =>
      content(client.GET("/gateways/{name}", { params: { path: { name } as never } })) as unknown as Promise<Row>,
  });
  const row = found.data?.items[0];
  return (
    <Page
      title={name}
      needs="GET /gateways/quality"
      actions={
        mayBlock &&
        row && (
          <BlockOf
            isBlocked={row.state === "blocked"}
            title={t("gateway.block_title", { gateway: name })}
            lead={t("gateway.block_lead")}
            block={() =>
              content(client.POST("/gateways/{name}/block", { params: { path: { name } }, body: {} as never }))
            }
            unblock={() => content(client.DELETE("/gateways/{name}/block", { params: { path: { name } } }))}
          />
        )
      }
    >
      <ProblemText error={found.error ?? sheet.error} again={() => sheet.refetch()} />
      {row && (
        <Facts
          facts={gatewayColumns.map((column) => [
            t(`column.${column.name}`),
            <Value
              key={column.name}
              row={row}
              name={column.name}
              kind={column.kind === "gateway" ? "text" : (column.kind ?? "text")}
            />,
          ])}
        />
      )}
      {sheet.data && <Tree value={sheet.data} />}
    </Page>
  );
}
