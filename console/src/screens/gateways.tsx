/** Gateways as they do now, and one of them with its definition. */

import { Alert, Group, Select, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { allOf, client, content, pageOf, type Row, type Schemas } from "../api/client";
import { cleared, override, overridesOf } from "../api/overrides";
import { amount, moment } from "../format";
import { pathOf } from "../forms/keys";
import { Change, type Done } from "../parts/change";
import { useRescue } from "../parts/focus";
import { Go } from "../parts/go";
import { MomentInput } from "../parts/minute";
import { Note } from "../parts/note";
import { Facts, Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { ReportTable, reportOf, useSeesReport } from "../parts/reporttable";
import { RowCount, useRows } from "../parts/rows";
import { OverTime } from "../parts/spanchart";
import { STANDINGS, standingOf } from "../parts/standing";
import { type Column, Table } from "../parts/table";
import { TestCall } from "../parts/testcall";
import { LastDone } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { Value } from "../parts/values";
import { useMay, useSession } from "../session";
import { useTranslation } from "../text/translation";
import { BlockOf } from "./account";
import { Whole } from "./call";
import { gatewayColumns } from "./columns";
import { useBalance } from "./money";

const READ_MS = 4_000;
const PAGE_ROWS = 1_000;

export function GatewaysScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/gateways" });
  const go = useNavigate({ from: "/gateways" });
  const found = useRows(
    "/gateways/quality",
    { limit: PAGE_ROWS, sort: search.sort },
    { refetchInterval: READ_MS, isWhole: true },
  );
  const wanted = (search.q ?? "").toLowerCase();
  const rows = found.rows.filter(
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
          clearButtonProps={{ "aria-label": t("act.clear") }}
          value={search.state ?? null}
          onChange={(state) => go({ search: (before) => ({ ...before, state: state ?? undefined }) })}
        />
        <RowCount of={found} shown={rows.length} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("nav.gateways")}
        columns={gatewayColumns}
        rows={rows}
        rowKey={(row) => `${row.kind} ${row.gateway}`}
        sort={search.sort}
        onSort={(sort) => go({ search: (before) => ({ ...before, sort }) })}
        {...found.table}
        onClear={search.q || search.state ? () => go({ search: { sort: search.sort } }) : undefined}
      />
    </Page>
  );
}

export function GatewayScreen() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/gateways/$name" });
  const mayBlock = useMay("POST /gateways/{name}/block");
  const mayCall = useMay("POST /calls/test");
  const { may } = useSession();
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
  const written = ((sheet.data?.defined ?? []) as Schemas["WrittenGateway"][]).map(({ list }) => list);
  const lists = row?.kind === "group" ? [...written, "gateway_groups"] : written;
  const overrides = useOverrides(name);
  const ownSince = blockedSince(overrides.data);
  // the state and the blocks are two answers, one of which may be older: what is ordered goes by the blocks
  const isBlocked = overrides.data ? ownSince !== undefined : row?.state === "blocked";
  const account = row?.state === "blocked" ? String(row.account ?? "") : "";
  const { blocked, closed } = useBalance(account, account !== "").data ?? {};
  const isOfAccount = blocked === true;
  return (
    <Page
      title={name}
      needs="GET /gateways/quality"
      actions={
        mayBlock &&
        row &&
        !overrides.isLoading &&
        row.kind !== "group" && (
          <BlockOf
            target="gateways"
            name={name}
            isBlocked={isBlocked}
            since={ownSince}
            seen={overrides.data}
            title={t("gateway.block_title", { gateway: name })}
            lead={t("gateway.block_lead")}
            blocked={t("gateway.blocked", { gateway: name })}
            unblocked={t("gateway.unblocked", { gateway: name })}
          />
        )
      }
    >
      <LastDone />
      <Reading of={found} />
      <ProblemText error={sheet.error} again={() => sheet.refetch()} />
      {isOfAccount && (
        <Alert variant="outline" role="status" p={6}>
          {t(closed ? "gateway.account_closed" : "gateway.account_blocked")}{" "}
          <Go to={`/accounts/${encodeURIComponent(account)}`}>{account}</Go>
        </Alert>
      )}
      {row && (
        <Facts
          facts={[...gatewayColumns, ...ONLY_SOMETIMES.filter(({ name: field }) => row[field])].map(
            (column: Column) => [
              t(`column.${column.name}`),
              <Value
                key={column.name}
                row={row}
                name={column.name}
                kind={column.kind === "gateway" ? "text" : (column.kind ?? "text")}
              />,
            ],
          )}
        />
      )}
      {/* above all that comes later: a button that moves under the pointer is missed */}
      {row?.kind === "routing" && mayCall && (
        <>
          <Title order={2} size="h4">
            {t("testcall.through", { via: name })}
          </Title>
          <TestCall via={name} />
        </>
      )}
      {lists
        .filter((list) => may.has(`GET ${pathOf(list)}/{name}`))
        .map((list) => (
          <Link key={list} to="/objects/$kind/$name" params={{ kind: list, name }}>
            {t("gateway.settings")}
          </Link>
        ))}
      {(row || !sheet.error) && <Overrides name={name} />}
      {row && row.kind !== "group" && <ByHour name={name} kind={String(row.kind)} />}
      {row?.kind === "routing" && <Margin name={name} />}
      {sheet.data && <Whole value={sheet.data} />}
    </Page>
  );
}

/** Who has blocked it and why, and for how long it has been down; shown where there is something to show. */
const ONLY_SOMETIMES: readonly Column[] = [{ name: "blocked" }, { name: "since_s", kind: "number" }];

const SETTINGS = ["priority", "weight", "max_concurrent", "max_cps"] as const;
const DAY_MS = 86_400_000;
const QUARTER_MS = 900_000;
/** After how long the last day is read again: five minutes more of it change little, and the switch adds all of it up. */
const LAST_DAY_READ_MS = 300_000;

/** The beginning of the last day, by the quarters of an hour by which the server adds up calls. */
const dayAgo = (): string => new Date(Math.floor(Date.now() / QUARTER_MS) * QUARTER_MS - DAY_MS).toISOString();

/** A report on the last day of gateways, read again as it goes on. */
function useLastDay(report: string, order: { group: string; gateway?: string }) {
  return useQuery({
    queryKey: ["last day", report, order],
    queryFn: () => reportOf(report, { ...order, since: dayAgo() }),
    enabled: useSeesReport(report),
    refetchInterval: LAST_DAY_READ_MS,
  });
}

/** When the latest block among overrides began; one name may be of gateways on both sides. */
const blockedSince = (overrides: readonly Row[] | undefined): string | undefined =>
  overrides
    ?.filter(({ setting }) => setting === "blocked")
    .map(({ since }) => String(since))
    .sort()
    .at(-1);

/** The overrides of a gateway, for those who may see them. */
function useOverrides(name: string) {
  return useQuery({
    queryKey: ["overrides", name],
    queryFn: () => overridesOf("gateways", name),
    enabled: useMay("GET /overrides"),
    refetchInterval: READ_MS,
  });
}

/** What operators have set until it ends: blocks, priority, capacity; each can be taken back. */
function Overrides({ name }: { name: string }) {
  const { t } = useTranslation();
  const { may: all } = useSession();
  const may = {
    see: useMay("GET /overrides"),
    set: useMay("POST /gateways/{name}/overrides"),
    block: useMay("POST /gateways/{name}/block"),
    clear: useMay("DELETE /overrides"),
  };
  const [values, setValues] = useState<Record<string, string>>({});
  const [until, setUntil] = useState("");
  const [memo, setMemo] = useState("");
  const unsaved = useUnsaved([until, memo, ...Object.values(values)].some(Boolean));
  const forget = () => {
    setValues({});
    setUntil("");
    setMemo("");
  };
  const found = useOverrides(name);
  useRescue(until !== "" || Object.values(values).some(Boolean)); // the buttons of an order are dead behind it
  if (!may.see) return null;
  const terms = { until: until || undefined, memo: memo || undefined };
  const wanted = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
  const words = Object.entries(wanted)
    .map(([setting, value]) => `${t(`gateway.${setting}`)} ${value}`)
    .join(", ");
  const shownUntil = moment(until, new Date());
  const named = (setting: string) =>
    setting === "blocked" ? t("column.blocked") : t(`gateway.${setting}`, { defaultValue: setting });
  const done = (said: string, undo: (() => Promise<unknown>) | undefined): Done => ({
    said,
    undo: undo && (() => undo().then(() => ({ said: t("change.undone") }))),
  });
  const clear = async (seen: Row, key: string, again?: string) => {
    const setting = String(seen.setting);
    return done(
      t("gateway.cleared", { setting: named(setting) }),
      await cleared(all, "gateways", name, setting, { seen, key, again }),
    );
  };
  const rows = found.data ?? [];
  return (
    <>
      <Title order={2} size="h4">
        {t("gateway.overrides")}
      </Title>
      {unsaved.question}
      <ProblemText error={found.error} again={() => found.refetch()} />
      {(may.set || may.block) && (
        // a form, because its fields refuse a moment that is entered in part
        <form onSubmit={(event) => event.preventDefault()}>
          <Group align="end" gap="xs">
            {may.set &&
              SETTINGS.map((setting) => (
                <TextInput
                  key={setting}
                  label={t(`gateway.${setting}`)}
                  inputMode="numeric"
                  w={110}
                  value={values[setting] ?? ""}
                  onChange={(event) => setValues({ ...values, [setting]: event.currentTarget.value })}
                />
              ))}
            <MomentInput label={t("gateway.until")} isEnd value={until} onChange={setUntil} />
            <TextInput label={t("column.memo")} value={memo} onChange={(event) => setMemo(event.currentTarget.value)} />
            {may.set && (
              <Change
                size="sm"
                type="submit"
                saysAbove
                act={t("gateway.set")}
                disabled={!found.data || Object.keys(wanted).length === 0}
                title={t("gateway.set_title", { gateway: name })}
                lead={`${words} ${until ? t("gateway.until_at", { until: shownUntil }) : t("gateway.until_cleared")}`}
                onDone={forget}
                run={async (key, again) =>
                  done(
                    t("gateway.was_set", { words }),
                    await override(all, "gateways", name, wanted, terms, { key, again, seen: rows }),
                  )
                }
              />
            )}
            {may.block && (
              <Change
                size="sm"
                type="submit"
                saysAbove
                act={t("gateway.block_until")}
                disabled={!found.data || !until}
                title={t("gateway.block_title", { gateway: name })}
                lead={t("gateway.block_lead_until", { until: shownUntil })}
                onDone={forget}
                run={async (key, again) =>
                  done(
                    t("gateway.blocked", { gateway: name }),
                    await override(all, "gateways", name, { blocked: "yes" }, terms, { key, again, seen: rows }),
                  )
                }
              />
            )}
          </Group>
        </form>
      )}
      {rows.length > 0 && (
        <Table
          label={t("gateway.overrides")}
          columns={[
            { name: "setting", show: (each) => named(String(each.setting)) },
            { name: "value" },
            { name: "operator" },
            { name: "since", kind: "moment" },
            { name: "until", kind: "moment" },
            { name: "memo", kind: "words" },
            ...(may.clear
              ? [
                  {
                    name: "acts",
                    show: (each: Row) => (
                      <Change
                        size="compact-xs"
                        saysAbove
                        act={t("gateway.clear")}
                        title={t("gateway.clear_title", { gateway: name })}
                        lead={named(String(each.setting))}
                        run={(key, again) => clear(each, key, again)}
                      />
                    ),
                  },
                ]
              : []),
          ]}
          rows={rows}
          rowKey={(each) => `${each.target} ${each.setting}`}
        />
      )}
    </>
  );
}

/** What the calls of a vendor's gateway brought and cost in the last day, by the hour. */
function Margin({ name }: { name: string }) {
  const { t } = useTranslation();
  const found = useLastDay("profit-gateways", { group: "hour", gateway: name });
  // a customer's gateway may have the same name
  const rows = found.data?.rows.filter((row) => row.routing_gateway === name) ?? [];
  const problem = <ProblemText error={found.error} again={() => found.refetch()} />;
  if (!found.data || rows.length === 0) return problem;
  const totals = rows.length === found.data.rows.length ? found.data.totals : [];
  return (
    <>
      <Title order={2} size="h4">
        {t("gateway.margin")}
      </Title>
      {problem}
      {totals.map((total, index) => (
        <Facts
          key={index}
          facts={OF_MARGIN.map(([field, unit]) => [
            t(`column.${field}`),
            withUnit(total[field], String(total[unit] ?? "%")),
          ])}
        />
      ))}
      <ReportTable label={t("gateway.margin")} report={{ ...found.data, rows, totals: [] }} read="success" />
    </>
  );
}

/** Sums of the day, each with the field of its currency. */
const OF_MARGIN = [
  ["income", "income_currency"],
  ["cost", "vendor_currency"],
  ["profit", "income_currency"],
  ["margin", ""],
] as const;

/** A figure with its unit; one that is not known has none. */
export const withUnit = (value: unknown, unit: string): string =>
  value === null || value === undefined ? "–" : `${amount(String(value))} ${unit}`;

/** The last day by the hour: calls, answers, waits, cost. */
function ByHour({ name, kind }: { name: string; kind: string }) {
  const { t } = useTranslation();
  const [report, field] =
    kind === "routing"
      ? (["routing-gateways", "routing_gateway"] as const)
      : (["mapping-gateways", "mapping_gateway"] as const);
  // the API narrows by the gateway that was tried last; here each attempt counts
  const found = useLastDay(report, { group: "hour" });
  const rows = found.data?.rows.filter((row) => row[field] === name) ?? [];
  const problem = <ProblemText error={found.error} again={() => found.refetch()} />;
  if (!found.data || rows.length === 0) return problem;
  return (
    <>
      <Title order={2} size="h4">
        {t("gateway.hours")}
      </Title>
      {problem}
      <OverTime
        label="ASR %"
        rows={rows}
        spans={found.data}
        figure={{ name: "asr", kind: "percent" }}
        words={(row) => String(row.vendor_account ?? row.customer_account ?? "")}
      />
      <ReportTable label={t("gateway.hours")} report={{ ...found.data, rows, totals: [] }} read="success" />
    </>
  );
}

const COMPARED = ["offered", "taken_share", "answered", "asr", "ner", "acd", "pdd", "pdd_95", "cost"];

/** The row of a gateway; none without a name, which the row of calls without a gateway has. */
export const ofGateway = (rows: readonly Row[] | undefined, name: string): Row | undefined =>
  name ? rows?.find((row) => row.routing_gateway === name) : undefined;

/** Two gateways side by side: as they do now, and over the last day. */
export function CompareScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/compare" });
  const go = useNavigate({ from: "/compare" });
  const found = useQuery({
    queryKey: ["quality"],
    queryFn: () => allOf("/gateways/quality"),
    refetchInterval: READ_MS,
  });
  const day = useLastDay("routing-gateways", { group: "whole" });
  const routing = (found.data ?? []).filter((row) => row.kind === "routing");
  const sides = [search.one ?? "", search.two ?? ""].map((name) => ({
    name,
    now: routing.find((row) => row.gateway === name),
    day: ofGateway(day.data?.rows, name),
  }));
  return (
    <Page title={t("nav.compare")} needs="GET /gateways/quality">
      <Group gap="xs">
        {(["one", "two"] as const).map((field) => (
          <Select
            key={field}
            label={t(`gateway.compare_${field}`)}
            searchable
            data={routing.map((row) => String(row.gateway))}
            value={search[field] ?? null}
            onChange={(value) => go({ search: (before) => ({ ...before, [field]: value ?? undefined }) })}
          />
        ))}
      </Group>
      <ProblemText error={found.error ?? day.error} />
      {sides.some((side) => side.name) ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
        <section className="table-frame" aria-label={t("nav.compare")} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("gateway.figure")}</th>
                {sides.map((side, index) => (
                  <th key={index} scope="col" className="end">
                    {side.name || "–"}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {gatewayColumns
                .filter((column) => column.name !== "gateway" && column.name !== "kind")
                .map((column) => (
                  <tr key={column.name}>
                    <th scope="row">{t(`column.${column.name}`)}</th>
                    {sides.map((side, index) => (
                      <td key={index} className="end">
                        <Value row={side.now ?? {}} name={column.name} kind={column.kind ?? "text"} />
                      </td>
                    ))}
                  </tr>
                ))}
              {COMPARED.map((name) => (
                <tr key={`day ${name}`}>
                  <th scope="row">{t("gateway.of_day", { figure: t(`column.${name}`, { defaultValue: name }) })}</th>
                  {sides.map((side, index) => (
                    <td key={index} className="end">
                      {side.day?.[name] === null || side.day?.[name] === undefined
                        ? "–"
                        : amount(String(side.day[name]))}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : (
        <Note why="empty">{t("gateway.compare_choose")}</Note>
      )}
    </Page>
  );
}
