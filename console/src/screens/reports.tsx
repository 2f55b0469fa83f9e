/** Each report as a table, and as the files that the API makes of it. */

import { Group, Select, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { queryText, type Row } from "../api/client";
import { useDayBegin } from "../parts/age";
import { Download, WORKBOOK } from "../parts/download";
import { AnsweredChoice, ReasonChoice } from "../parts/ended";
import { DaySpan, useDayZone } from "../parts/minute";
import { NarrowInput } from "../parts/narrow";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { columnsOf, Missing, type Report, ReportTable, reportOf, useReports } from "../parts/reporttable";
import { SavedViews } from "../parts/savedviews";
import { keysOfSchedule, Schedule } from "../parts/schedule";
import { Bars, OverTime } from "../parts/spanchart";
import { isCurrency, spanWords } from "../parts/spans";
import { LastDone } from "../parts/trial";
import { useStateWord } from "../parts/values";
import { useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

const FIRST = "revenue";
const FILES = [
  ["csv", "text/csv"],
  ["xlsx", WORKBOOK],
  ["pdf", "application/pdf"],
] as const;

interface ReportKind {
  name: string;
  meaning: string;
  groups: string[];
  criteria: string[];
}

/** Criteria that are entered as text, with their labels. */
const TEXTS = [
  ["account", "column.account"],
  ["vendor", "column.vendor_account"],
  ["gateway", "column.gateway"],
  ["area", "column.area"],
  ["callee", "reports.callee"],
  ["caller", "reports.caller"],
] as const;
const DIGITS = ["callee_digits", "caller_digits"] as const;
/** Columns that say of what else a row is, beside what it is of. */
const BESIDE = ["span", "area_prefix", "type"];

/** Words for a row of a report beside its span: what it is of, without amounts, moments and currencies. */
export function wordsOf(report: Pick<Report, "columns">, word: (name: string) => string): (row: Row) => string {
  const columns = columnsOf(report).filter(
    ({ name, kind }) =>
      !["money", "number", "moment"].includes(kind ?? "") && !BESIDE.includes(name) && !isCurrency(name),
  );
  return (row) =>
    columns
      .map(({ name, kind }) => (kind === "state" && row[name] ? word(String(row[name])) : row[name]))
      .filter(Boolean)
      .join(" ");
}

/** A figure of the report as a line over time, or as bars of its rows. */
function Chart({
  report,
  figure,
  onChoose,
}: {
  report: Report;
  figure: string;
  onChoose: (figure: string | null) => void;
}) {
  const { t } = useTranslation();
  const word = useStateWord();
  const figures = report.columns.filter((column) => column.kind !== "text");
  const named = (name: string) => figures.find((column) => column.name === name);
  const shown = named(figure) ?? named("calls") ?? figures[0];
  if (!shown || report.rows.length === 0) return null;
  const words = wordsOf(report, word);
  const spans = new Set(report.rows.map((row) => row.span));
  const isOverTime = report.columns.some((column) => column.name === "span") && spans.size > 1;
  return (
    <>
      <Select
        label={t("reports.figure")}
        w={200}
        data={figures.map(({ name }) => ({ value: name, label: t(`column.${name}`, { defaultValue: name }) }))}
        value={shown.name}
        allowDeselect={false}
        onChange={onChoose}
      />
      {isOverTime ? (
        <OverTime
          label={t(`column.${shown.name}`, { defaultValue: shown.name })}
          rows={report.rows}
          spans={report}
          figure={shown}
          words={words}
        />
      ) : (
        <Bars
          rows={report.rows}
          figure={shown}
          label={(row) => [row.span && spanWords(String(row.span)), words(row)].filter(Boolean).join(" ")}
        />
      )}
    </>
  );
}

export function ReportsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/reports" });
  const go = useNavigate({ from: "/reports" });
  const name = search.name ?? FIRST;
  const zone = useDayZone(search.zone);
  const today = useDayBegin(zone);
  const order = {
    since: search.since ?? today,
    until: search.until,
    group: search.group,
    account: search.account,
    gateway: search.gateway,
    vendor: search.vendor,
    area: search.area,
    reason: search.reason,
    answered: search.answered,
    caller: search.caller,
    callee: search.callee,
    caller_digits: search.caller_digits,
    callee_digits: search.callee_digits,
  };
  const kinds = useReports();
  const found = useQuery({ queryKey: ["report", name, order, zone], queryFn: () => reportOf(name, order, zone) });
  const set = (field: string, value: string | null) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  /** Choose another report: it may not be divided as this one is. */
  const choose = (value: string | null) => {
    const chosen = known?.find((each) => each.name === value);
    const without = Object.fromEntries(
      (kind?.criteria ?? []).filter((each) => !chosen?.criteria.includes(each)).map((each) => [each, undefined]),
    );
    go({
      search: (before) => ({
        ...before,
        ...without,
        name: value || undefined,
        group: before.group && chosen?.groups.includes(before.group) ? before.group : undefined,
      }),
    });
  };
  const asked = queryText({ ...order, zone });
  const inLanguage = useServerText();
  const known = kinds.data?.items as unknown as ReportKind[] | undefined;
  const kind = known?.find((each) => each.name === name);
  const knows = (field: string) => kind?.criteria.includes(field) ?? false;
  return (
    <Page
      title={t("nav.reports")}
      needs="GET /reports/{name}"
      tools={
        <>
          <SavedViews of="reports" search={search} onChoose={(wanted) => void go({ search: wanted })} />
          {FILES.map(([form, accept]) => (
            <Download
              key={form}
              path={`/reports/${encodeURIComponent(name)}?${asked}`}
              accept={accept}
              name={`${name}.${form}`}
            >
              {t(`reports.${form}`)}
            </Download>
          ))}
        </>
      }
      actions={<Schedule keys={keysOfSchedule(name, order, zone)} />}
    >
      <LastDone />
      <Group align="end" gap="xs">
        <Select
          label={t("reports.choose")}
          data={(known?.map((each) => each.name) ?? [name]).map((value) => ({
            value,
            label: t([`reportname.${value}`], { defaultValue: value }),
          }))}
          value={name}
          searchable
          allowDeselect={false}
          onChange={choose}
        />
        <DaySpan
          days={{ ...order, zone: search.zone }}
          onEnter={(days) => void go({ search: (before) => ({ ...before, ...days }) })}
        />
        <Select
          label={t("reports.group")}
          data={(kind?.groups ?? []).map((value) => ({ value, label: t(`reports.${value}`) }))}
          value={order.group ?? null}
          onChange={(value) => set("group", value)}
        />
        {TEXTS.filter(([field]) => knows(field)).map(([field, label]) => (
          <NarrowInput
            key={field}
            label={t(label)}
            value={order[field] ?? ""}
            w={130}
            onEnter={(text) => set(field, text)}
          />
        ))}
        {knows("reason") && <ReasonChoice value={order.reason} w={160} onChange={(value) => set("reason", value)} />}
        {knows("answered") && (
          <AnsweredChoice value={order.answered} w={130} onChange={(value) => set("answered", value)} />
        )}
        {DIGITS.filter(knows).map((field) => (
          <NarrowInput
            key={field}
            label={t(`reports.${field}`)}
            type="number"
            min={1}
            max={15}
            w={110}
            value={order[field] ?? ""}
            onEnter={(text) => set(field, text)}
          />
        ))}
      </Group>
      <Text className="quiet">{inLanguage(kind?.meaning ?? "")}</Text>
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data && <Missing report={found.data} />}
      {found.data && (
        <Chart report={found.data} figure={search.figure ?? ""} onChoose={(figure) => set("figure", figure)} />
      )}
      <ReportTable label={name} report={found.data} read={found.status} order={order} />
    </Page>
  );
}
