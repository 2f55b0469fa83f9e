/** A rate group: its areas, and of a deck the versions, the way back and the import of a sheet. */

import { Group, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { client, content, neutralised, pageOf, type Row } from "../api/client";
import { Change } from "../parts/change";
import { Download } from "../parts/download";
import { Note } from "../parts/note";
import { Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { rollBack } from "../parts/rollback";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { useStateWord } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { SheetImport } from "./import";

export function DeckScreen() {
  const { t } = useTranslation();
  const word = useStateWord();
  const { group } = useParams({ from: "/rates/$group" });
  const search = useSearch({ from: "/rates/$group" });
  const go = useNavigate({ from: "/rates/$group" });
  const may = {
    areas: useMay("GET /rates/groups/{rate_group}/areas"),
    versions: useMay("GET /decks/{rate_group}/versions"),
    import: useMay("POST /decks/{rate_group}/imports"),
  };
  const known = useQuery({ queryKey: ["rate group", group], queryFn: () => pageOf("/rates/groups", { name: group }) });
  const row = known.data?.items[0];
  const isDeck = row?.rates_from === "deck";
  const tabs = [
    ...(may.areas ? ["areas"] : []),
    ...(isDeck && may.versions ? ["versions"] : []),
    ...(isDeck && may.import ? ["import"] : []),
  ];
  const tab = tabs.includes(search.tab ?? "") ? search.tab : tabs[0];
  return (
    <Page title={group} needs="GET /rates/groups">
      <Reading of={known} />
      {known.isSuccess && !row && <Note why="not_found">{t("state.not_found_lead")}</Note>}
      {row && (
        <>
          <Text className="quiet">
            {t("rates.group_is", { currency: row.currency, price_per: word(String(row.price_per)), rates: row.rates })}{" "}
            {row.rates_from !== undefined &&
              t(isDeck ? "rates.is_deck" : "rates.is_no_deck", { rates_from: row.rates_from })}
          </Text>
          {tabs.length === 0 && (
            <Note why="no_right">{t("state.no_right", { operation: "GET /rates/groups/{rate_group}/areas" })}</Note>
          )}
          <Tabs value={tab} onChange={(value) => go({ search: { tab: value ?? undefined } })} keepMounted={false}>
            <Tabs.List>
              {tabs.map((each) => (
                <Tabs.Tab key={each} value={each}>
                  {t(`rates.${each}`)}
                </Tabs.Tab>
              ))}
            </Tabs.List>
            <Tabs.Panel value="areas" pt="sm">
              <Areas group={group} currency={row.currency} />
            </Tabs.Panel>
            <Tabs.Panel value="versions" pt="sm">
              <Versions group={group} />
            </Tabs.Panel>
            {tabs.includes("import") && (
              // a sheet that was chosen stays while the versions are looked at
              <Tabs.Panel value="import" pt="sm" keepMounted>
                <SheetImport group={group} currency={row.currency} />
              </Tabs.Panel>
            )}
          </Tabs>
        </>
      )}
    </Page>
  );
}

/** For how long areas are not read again by a return to their window: those of a large group take the server a while. */
const AREAS_MS = 60_000;

function Areas({ group, currency }: { group: string; currency: unknown }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["areas", group],
    queryFn: () => content(client.GET("/rates/groups/{rate_group}/areas", { params: { path: { rate_group: group } } })),
    staleTime: AREAS_MS,
  });
  return (
    <>
      <ProblemText error={found.error} />
      <Table
        label={t("rates.areas")}
        columns={[
          { name: "area" },
          { name: "lowest", kind: "money" },
          { name: "highest", kind: "money" },
          { name: "rates", kind: "number" },
          { name: "closed", kind: "number" },
          { name: "prefixes", show: (row) => (row.prefixes as string[]).join(", ") },
        ]}
        rows={(found.data?.areas ?? []).map((each) => ({ ...each, currency }))}
        rowKey={(row) => String(row.area)}
        read={found.status}
      />
    </>
  );
}

function Versions({ group }: { group: string }) {
  const { t } = useTranslation();
  const mayRollBack = useMay("POST /decks/{rate_group}/rollback");
  const found = useRows(`/decks/${encodeURIComponent(group)}/versions`, { sort: "-version" });
  const { rows } = found;
  const [inForce, ...earlier] = rows;
  const before = earlier.find((row) => row.content !== inForce?.content);
  const changed = (row: Row) =>
    Object.entries((row.changes ?? {}) as Record<string, number>)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${t(`rates.change_${kind}`)} ${count}`)
      .join(", ");
  return (
    <>
      <ProblemText error={found.error} again={found.again} />
      {mayRollBack && inForce && before && (
        <Group mb="xs">
          <Change
            act={t("rates.roll_back")}
            title={t("rates.roll_back_title", { version: before.version, group })}
            lead={t("rates.roll_back_lead", { version: inForce.version })}
            run={(key) =>
              rollBack(
                group,
                Number(before.version),
                Number(inForce.version),
                (version) => t("rates.in_force", { version }),
                key,
              )
            }
          />
        </Group>
      )}
      <RowCount of={found} />
      <Table
        label={t("rates.versions")}
        columns={[
          { name: "version", kind: "number" },
          { name: "made_at", kind: "moment" },
          { name: "operator" },
          { name: "mode" },
          { name: "effective", kind: "moment" },
          { name: "rates", kind: "number" },
          { name: "changes", show: changed },
          { name: "memo", kind: "words" },
          {
            name: "download",
            show: (row) => (
              <Download
                size="compact-xs"
                path={`/decks/${encodeURIComponent(group)}/rates?version=${row.version}`}
                accept="text/csv"
                name={`${group}-${row.version}.csv`}
                mend={neutralised}
              >
                CSV
              </Download>
            ),
          },
        ]}
        rows={rows}
        rowKey={(row) => String(row.version)}
        {...found.table}
      />
    </>
  );
}
