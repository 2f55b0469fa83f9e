/** The state of the switch and the money of the day; each figure leads to what is behind it. */

import { Button, Group, SegmentedControl, Title } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useNavigate, useSearch } from "@tanstack/react-router";
import { type CSSProperties, lazy, type ReactNode, Suspense } from "react";
import { allOf, type Row, type Schemas } from "../api/client";
import { amount } from "../format";
import type { Narrowing } from "../narrowing";
import { useDayBegin } from "../parts/age";
import { TimeChart } from "../parts/chart";
import { noted, pointsOf } from "../parts/figures";
import { loaded } from "../parts/loaded";
import { Note } from "../parts/note";
import { Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { Missing, ReportTable, reportOf } from "../parts/reporttable";
import { moneyOf } from "../parts/spans";
import { Spark } from "../parts/spark";
import { STANDINGS, standingOf } from "../parts/standing";
import { figure, networkUse, percent, processesOf, statusQuery } from "../parts/status";
import { Subject } from "../parts/subject";
import { type Column, Table } from "../parts/table";
import { Moment, State, useFacts } from "../parts/values";
import { groupsOf, homeOf } from "../places";
import { useMay, useSession } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { useWall } from "../wall";
import { zoneName } from "../zone";
import { gatewayColumns } from "./columns";

const STATE_MS = 2_000;
/** So many gateways are read as often as few. */
const GATEWAYS_SOON = 200;
const DAY_MS = 30_000;
/** Reports of the best customers, by what they are compared. */
const TOPS = { seconds: "top-customers", amount: "top-revenue" };
const ALARMS_SHOWN = 5;
const DAY = ["calls", "answered", "asr", "acd"];
const MONEY = ["income", "cost", "profit"];
/** Records that wait in the middle of normal work. */
const WAITING_WELL = 1_000;
const HOUR_S = 3_600;
/** The most urgent first. */
const LEVELS = ["critical", "error", "warning"];
const BAD_LEVELS = new Set(["critical", "error"]);

/** The first page of agents and customers, which operators do not load. */
const Portal = lazy(() => loaded(import("./portal")).then(({ PortalScreen }) => ({ default: PortalScreen })));

export function OverviewScreen() {
  const { t } = useTranslation();
  const { wall } = useSearch({ from: "/" });
  const go = useNavigate({ from: "/" });
  const leave = () => go({ search: {}, replace: true });
  useWall(Boolean(wall));
  useHotkeys([["Escape", () => wall && void leave()]]);
  const person = useSession();
  const { account, may } = person;
  const home = homeOf(person);
  if (home !== "/") return <Navigate to={home} replace />;
  if (groupsOf(person).length === 0) {
    return (
      <Page title={t("state.no_page")}>
        <Note why="no_right">{t("state.no_page_lead")}</Note>
      </Page>
    );
  }
  if (account && may.has("GET /accounts/{account}/balance")) {
    return (
      <Suspense fallback={<Note why="loading">{t("state.loading")}</Note>}>
        <Portal account={account} />
      </Suspense>
    );
  }
  return (
    <div className={wall ? "wall" : undefined}>
      <Page
        title={t("nav.overview")}
        needs="GET /status"
        actions={
          !wall && (
            <Button variant="default" size="xs" onClick={() => go({ search: { wall: "1" } })}>
              {t("overview.wall")}
            </Button>
          )
        }
      >
        <Now />
        <Day isWall={Boolean(wall)} />
        <Gateways />
        {wall && (
          <button type="button" className="wall-leave" onClick={leave}>
            {t("overview.leave_wall")}
          </button>
        )}
      </Page>
    </div>
  );
}

/** The number of letters of a figure: on a wall many of them are smaller, so that they stay within their box. */
const lettersOf = (shown: ReactNode) =>
  typeof shown === "string" ? ({ "--letters": shown.length } as CSSProperties) : undefined;

function Figure({
  name,
  to,
  search,
  isBad,
  children,
}: {
  name: string;
  to?: string;
  search?: Narrowing;
  isBad?: boolean;
  children: ReactNode;
}) {
  const inner = (
    <>
      {name}
      <b className={isBad ? "bad" : undefined} style={lettersOf(children)}>
        {children}
      </b>
    </>
  );
  if (!to) return <div className="figure">{inner}</div>;
  return (
    <Link to={to} search={search} className="figure">
      {inner}
    </Link>
  );
}

/** After how long so many gateways are read again: the more there are, the more one reading costs the switch. */
export const gatewaysAfterMs = (count: number): number => 2 * STATE_MS * Math.max(1, Math.ceil(count / GATEWAYS_SOON));

/** Gateways as they do now: one reading for the figures and the table. */
function useGateways() {
  return useQuery({
    queryKey: ["quality", "overview"],
    queryFn: async () => {
      const items = await allOf("/gateways/quality");
      const everyS = gatewaysAfterMs(items.length) / 1_000;
      for (const row of items) noted(`calls of ${row.gateway}`, Number(row.calls ?? 0), everyS);
      return items;
    },
    refetchInterval: ({ state }) => gatewaysAfterMs(state.data?.length ?? 0),
    enabled: useMay("GET /gateways/quality"),
  });
}

function Now() {
  const { t } = useTranslation();
  const status = useQuery({ ...statusQuery, refetchInterval: STATE_MS });
  const gateways = useGateways().data;
  useAlarms(); // asked for at once, and not behind the state beside which they stand
  const calls = useMay("GET /calls") ? "/calls" : undefined;
  const registrations = useMay("GET /registrations") ? "/lists/registrations" : undefined;
  const health = useMay("POST /configuration/check") ? "/health" : undefined;
  const parameters = useMay("GET /parameters") ? "/parameters" : undefined;
  const found = status.data;
  if (!found) return <Reading of={status} />;
  noted("calls", Number(figure(found.figures, "calls")), 0, status.dataUpdatedAt / 1_000);
  const { machine, database } = found;
  const waiting = Number(figure(found.figures, "spool_rows"));
  const [busiest] = processesOf(machine);
  return (
    <>
      <ProblemText error={status.error} />
      <section className="figures" aria-label={t("overview.now")}>
        <Figure name={t("overview.calls")} to={calls}>
          {figure(found.figures, "calls")}
        </Figure>
        {gateways && (
          <Figure name={t("overview.cps")} to={calls} search={{ group: "customer" }}>
            {arriving(gateways).toFixed(1)}
          </Figure>
        )}
        <Figure name={t("overview.phones")} to={registrations}>
          {figure(found.figures, "phones_online")}
        </Figure>
        {gateways && <Trunks rows={gateways} />}
        <AlarmFigures />
      </section>
      <TimeChart label={t("overview.running")} points={pointsOf("calls")} />
      <AlarmList />
      <section className="figures" aria-label={t("overview.node")}>
        <Figure name={t("overview.processor")} to={health}>
          {percent(machine.cpu_percent)}
        </Figure>
        {busiest && (
          <Figure name={`${t("overview.busiest")} ${busiest[0]}`} to={health}>
            {percent(busiest[1])}
          </Figure>
        )}
        <Figure name={t("overview.network")} to={health}>
          {networkUse(machine)}
        </Figure>
        <Figure name={t("overview.memory")} to={health}>
          {percent(machine.memory_percent)}
        </Figure>
        <Figure name={t("overview.disk")} to={health}>
          {percent(machine.disk_free_percent)}
        </Figure>
        <Figure name={t("overview.backlog")} to={health} isBad={waiting > WAITING_WELL}>
          {waiting}
        </Figure>
        <Figure name={t("overview.database")} to={health}>
          <State value={database.state} />
        </Figure>
        <Figure name={`${t("overview.node")} ${found.version}`} to={parameters}>
          {found.node}
        </Figure>
      </section>
    </>
  );
}

/** Calls a second that arrive at trunks of customers. */
const arriving = (rows: readonly Row[]): number =>
  rows.filter((row) => row.kind === "mapping").reduce((sum, row) => sum + Number(row.cps ?? 0), 0);

function Trunks({ rows }: { rows: readonly Row[] }) {
  const { t } = useTranslation();
  const count = (standing: string) => rows.filter((row) => standingOf(row) === standing).length;
  return STANDINGS.filter((state) => state === "up" || count(state) > 0).map((state) => (
    <Figure
      key={state}
      name={t(`overview.gateways_${state}`)}
      to="/gateways"
      search={{ state }}
      isBad={state === "down" || state === "full"}
    >
      {count(state)}
      {state === "up" && <small> / {rows.length}</small>}
    </Figure>
  ));
}

/** Raised alarms, the most urgent first. */
function useAlarms() {
  const alarms = useQuery({
    queryKey: ["alarms", false],
    queryFn: () => allOf("/alarms"),
    refetchInterval: STATE_MS,
    enabled: useMay("GET /alarms"),
  });
  const raised = (alarms.data ?? []) as unknown as Schemas["AlarmRow"][];
  return {
    ...alarms,
    raised: [...raised].sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level)),
  };
}

function AlarmFigures() {
  const { t } = useTranslation();
  const { raised, data } = useAlarms();
  if (!data) return null;
  const count = (level: string) => raised.filter((each) => each.level === level).length;
  return LEVELS.filter((level) => level === "critical" || count(level) > 0).map((level) => (
    <Figure
      key={level}
      name={t(`overview.alarms_${level}`)}
      to="/alarms"
      search={{ level }}
      isBad={count(level) > 0 && BAD_LEVELS.has(level)}
    >
      {count(level)}
    </Figure>
  ));
}

function AlarmList() {
  const { t } = useTranslation();
  const { raised, error, refetch } = useAlarms();
  const facts = useFacts();
  if (error) return <ProblemText error={error} again={() => refetch()} />;
  if (raised.length === 0) return null;
  return (
    <ul className="alarms" aria-label={t("overview.alarms")}>
      {raised.slice(0, ALARMS_SHOWN).map((each) => (
        <li key={`${each.alarm} ${each.subject}`} className={BAD_LEVELS.has(each.level) ? "urgent" : undefined}>
          <Moment value={each.since} />{" "}
          <Link to="/alarms" search={{ about: each.alarm }}>
            <ServerText text={each.alarm} />
          </Link>{" "}
          <Subject alarm={each.alarm} subject={each.subject} />{" "}
          <span className="quiet">{each.text ? facts(each.text) : <ServerText text={each.do} />}</span>
        </li>
      ))}
    </ul>
  );
}

function Day({ isWall }: { isWall: boolean }) {
  const { t } = useTranslation();
  const sees = useMay("GET /reports/{name}");
  const go = useNavigate({ from: "/" });
  const by = useSearch({ from: "/" }).by === "amount" ? "amount" : "seconds";
  const since = useDayBegin();
  const hourly = { name: "performance", group: "hour", since, zone: zoneName() };
  const report = (name: string, group?: string) => ({
    queryKey: ["report", name, group, since],
    queryFn: () => reportOf(name, { since, group }),
    refetchInterval: DAY_MS,
    enabled: sees,
  });
  // calls are counted once: rows with money are divided by currency
  const hours = useQuery(report("performance", "hour"));
  const money = useQuery(report("daily", "whole"));
  const top = useQuery(report(TOPS[by]));
  if (!sees) return null;
  const all = [hours, money, top];
  const error = all.find((each) => each.error)?.error ?? null;
  const [total] = hours.data?.totals ?? [];
  const busiest = Math.max(0, ...(hours.data?.rows ?? []).map(({ calls }) => Number(calls ?? 0)));
  return (
    <>
      <ProblemText error={error} again={() => Promise.all(all.map((each) => each.refetch()))} />
      {total && (
        <section className="figures" aria-label={t("overview.day")}>
          {DAY.filter((name) => total[name] !== undefined && total[name] !== null).map((name) => (
            <Figure
              key={name}
              name={t(`overview.day_${name}`)}
              to={name === "calls" || name === "answered" ? "/cdrs" : "/reports"}
              search={name === "calls" ? { since } : name === "answered" ? { since, answered: "true" } : hourly}
            >
              {amount(String(total[name]))}
            </Figure>
          ))}
          {MONEY.flatMap((name) =>
            moneyOf(money.data?.totals ?? [], name).map(({ currency, value }) => (
              <Figure
                key={`${name} ${currency}`}
                name={`${t(`overview.day_${name}`)} ${currency}`}
                to="/reports"
                search={{ ...hourly, name: "daily" }}
                isBad={value.startsWith("-")}
              >
                {amount(value)}
              </Figure>
            )),
          )}
          <Figure name={t("overview.day_busiest")} to="/reports" search={hourly}>
            {(busiest / HOUR_S).toFixed(2)}
          </Figure>
        </section>
      )}
      {hours.data && <Missing report={hours.data} />}
      {!isWall && (
        <>
          <Group gap="sm">
            <Title order={2} size="h4">
              <Link to="/reports" search={{ name: TOPS[by], since, zone: zoneName() }}>
                {t("overview.top")}
              </Link>
            </Title>
            <SegmentedControl
              size="xs"
              aria-label={t("overview.top_by")}
              data={(["seconds", "amount"] as const).map((value) => ({ value, label: t(`overview.by_${value}`) }))}
              value={by}
              onChange={(value) => go({ search: { by: value === "amount" ? value : undefined } })}
            />
          </Group>
          <ReportTable label={t("overview.top")} report={top.data} read={top.status} order={{ since }} />
        </>
      )}
    </>
  );
}

function Gateways() {
  const { t } = useTranslation();
  const sees = useMay("GET /gateways/quality");
  const found = useGateways();
  if (!sees) return null;
  const line: Column = {
    name: "calls_line",
    show: (row) => (
      <Spark label={`${t("overview.running")}, ${row.gateway}`} points={pointsOf(`calls of ${row.gateway}`)} />
    ),
  };
  const [name, kind, state, ...others] = gatewayColumns;
  return (
    <>
      <Title order={2} size="h4">
        {t("overview.quality")}
      </Title>
      <ProblemText error={found.error} again={() => found.refetch()} />
      <Table
        label={t("overview.quality")}
        columns={name && kind && state ? [name, state, line, kind, ...others] : []}
        rows={found.data ?? []}
        rowKey={(row) => `${row.kind} ${row.gateway}`}
        read={found.status}
      />
    </>
  );
}
