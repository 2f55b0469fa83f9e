/** Objects of one kind: those of the database and those of the files. */

import { Button, Group } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { queryText, type Row } from "../api/client";
import { pathOf } from "../forms/keys";
import { Download } from "../parts/download";
import { NarrowInput } from "../parts/narrow";
import { NotFound, Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { Value } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { isKind } from "./kinds";

/** Kinds whose objects belong to an account. */
const WITH_ACCOUNT = new Set(["mapping_gateways", "routing_gateways", "phones", "dids"]);

/** The account of an object, where its own keys name it. */
function accountOf(row: Row) {
  const keys = row.keys as Row | null | undefined;
  return <Value row={{ account: keys?.account }} name="account" kind="account" />;
}

export function ObjectsScreen() {
  const { kind } = useParams({ from: "/objects/$kind" });
  return isKind(kind) ? <ObjectsOf kind={kind} /> : <NotFound />;
}

function ObjectsOf({ kind }: { kind: string }) {
  const { t } = useTranslation();
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
      tools={
        <Download path={`${path}?${queryText(search)}`} accept="text/csv" name={`${kind}.csv`}>
          {t("cdrs.csv")}
        </Download>
      }
      actions={
        mayMake && (
          <Button size="xs" component={Link} to={`/new/${kind}`}>
            {t("object.new")}
          </Button>
        )
      }
    >
      <LastDone />
      <Group align="end" gap="xs">
        <NarrowInput
          key={kind}
          label={t("object.containing")}
          value={search.containing ?? ""}
          onEnter={(text) => set("containing", text)}
        />
        {search.name && (
          <NarrowInput label={t("object.exact_name")} value={search.name} onEnter={(text) => set("name", text)} />
        )}
        {WITH_ACCOUNT.has(kind) && (
          <NarrowInput
            key={`${kind} account`}
            label={t("column.account")}
            value={search.account ?? ""}
            onEnter={(text) => set("account", text)}
          />
        )}
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
          ...(WITH_ACCOUNT.has(kind) ? [{ name: "account", show: accountOf }] : []),
          { name: "source", kind: "state" },
          { name: "version", kind: "number" },
          { name: "begins_at", kind: "moment", isSortable: true },
          { name: "operator" },
          { name: "memo", kind: "words" },
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
