/** Objects of one kind: those of the database and those of the files. */

import { Button, Group } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { queryText } from "../api/client";
import { pathOf } from "../forms/keys";
import { Download } from "../parts/download";
import { NarrowInput } from "../parts/narrow";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { useMay } from "../session";

export function ObjectsScreen() {
  const { t } = useTranslation();
  const { kind } = useParams({ from: "/objects/$kind" });
  const search = useSearch({ from: "/objects/$kind" });
  const go = useNavigate({ from: "/objects/$kind" });
  const path = pathOf(kind);
  const mayMake = useMay(`POST ${path}`);
  const found = useRows(path, search);
  const { rows } = found;
  const set = (field: string, value: string) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  const title = t(`kind.${kind}`);
  return (
    <Page
      title={title}
      needs={`GET ${path}`}
      actions={
        <Group gap="xs">
          <Download path={`${path}?${queryText(search)}`} accept="text/csv" name={`${kind}.csv`}>
            {t("cdrs.csv")}
          </Download>
          {mayMake && (
            <Button size="xs" component={Link} to={`/new/${kind}`}>
              {t("object.new")}
            </Button>
          )}
        </Group>
      }
    >
      <LastDone />
      <Group align="end" gap="xs">
        <NarrowInput
          key={kind}
          label={t("object.exact_name")}
          value={search.name ?? ""}
          onEnter={(text) => set("name", text)}
        />
        <RowCount of={found} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={title}
        columns={[
          {
            name: "name",
            isSortable: true,
            show: (row) => (
              <Link to="/objects/$kind/$name" params={{ kind, name: String(row.name) }}>
                {String(row.name)}
              </Link>
            ),
          },
          { name: "source" },
          { name: "version", kind: "number" },
          { name: "begins_at", kind: "moment", isSortable: true },
          { name: "operator" },
          { name: "memo" },
        ]}
        rows={rows}
        rowKey={(row) => String(row.name)}
        sort={search.sort}
        onSort={(sort) => set("sort", sort)}
        {...found.table}
      />
    </Page>
  );
}
