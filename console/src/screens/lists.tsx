/** The screen of every list that `columns.ts` declares. */

import { Group, Select } from "@mantine/core";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { queryText } from "../api/client";
import { Download } from "../parts/download";
import { NarrowMoment } from "../parts/minute";
import { NarrowInput } from "../parts/narrow";
import { NotFound, Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { useStateWord } from "../parts/values";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";
import { ListActs, OpenedRow, rowActs } from "./acts";
import { type List, lists, rowKeys } from "./columns";

export function ListScreen() {
  const { list: name } = useParams({ from: "/lists/$list" });
  const list = (lists as Record<string, List>)[name];
  if (!list) return <NotFound />;
  return <ListOf key={name} name={name} list={list} />;
}

function ListOf({ name, list }: { name: string; list: List }) {
  const { t } = useTranslation();
  const { open: _, ...search } = useSearch({ from: "/lists/$list" });
  const go = useNavigate({ from: "/lists/$list" });
  const { account } = useSession();
  const word = useStateWord();
  const order = { ...list.fixed, ...(list.isOfOneAccount && account ? { account } : {}), ...search };
  const found = useRows(list.path, order, { refetchInterval: list.readMs });
  const { rows } = found;
  const keys = rowKeys(rows, list.rowKey);
  const set = (field: string, value: string) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  const titled = t(`nav.${name}`);
  const RowActs = rowActs[name];
  const columns: readonly Column[] = RowActs
    ? [...list.columns, { name: "acts", show: (row) => <RowActs row={row} /> }]
    : list.columns;
  return (
    <Page
      title={titled}
      needs={`GET ${list.path}`}
      tools={
        <Download path={`${list.path}?${queryText(order)}`} accept="text/csv" name={`${name}.csv`}>
          {t("cdrs.csv")}
        </Download>
      }
      actions={<ListActs list={name} />}
    >
      <LastDone />
      <Group align="end" gap="xs">
        {list.filters?.map((filter) =>
          filter.choices ? (
            <Select
              key={filter.name}
              label={t(`column.${filter.name}`)}
              data={filter.choices.map((value) => ({ value, label: word(value) }))}
              clearable
              clearButtonProps={{ "aria-label": t("act.clear") }}
              value={search[filter.name] ?? null}
              onChange={(value) => set(filter.name, value ?? "")}
            />
          ) : filter.isMoment ? (
            <NarrowMoment
              key={filter.name}
              label={t(`column.${filter.name}`)}
              isEnd={filter.name === "until"}
              value={search[filter.name]}
              onEnter={(moment) => set(filter.name, moment)}
            />
          ) : (
            <NarrowInput
              key={filter.name}
              label={t(`column.${filter.name}`)}
              value={search[filter.name] ?? ""}
              onEnter={(text) => set(filter.name, text)}
            />
          ),
        )}
        <RowCount of={found} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={titled}
        columns={columns}
        rows={rows}
        rowKey={(_row, index) => keys[index] ?? ""}
        sort={search.sort}
        onSort={(sort) => set("sort", sort)}
        {...found.table}
        empty={list.empty && t([list.empty])}
      />
      <OpenedRow list={list} rows={rows} isRead={found.table.read === "success"} />
    </Page>
  );
}
