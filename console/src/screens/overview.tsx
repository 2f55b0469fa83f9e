/** The state of the switch and the money of the day; each figure leads to what is behind it. */

import { Alert, Button, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { client, content, pageOf, type Row } from "../api/client";
import { amount, dayBegin } from "../format";
import { type Point, TimeChart } from "../parts/chart";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table } from "../parts/table";
import { State } from "../parts/values";
import type { Narrowing } from "../router";
import { useMay } from "../session";
import { gatewayColumns } from "./columns";
import { ReportTable, reportOf } from "./reports";

const STATE_MS = 2_000;
const DAY_MS = 30_000;
const POINTS_MAX = 300;
const TOP = 10;
const DAY = ["calls", "answered", "asr", "acd", "income", "cost", "profit"];
const MONEY = new Set(["income", "cost", "profit"]);
const GATEWAYS_MAX = 200;

export function OverviewScreen() {
  const { t } = useTranslation();
  const { wall } = useSearch({ from: "/" });
  const go = useNavigate({ from: "/" });
  if (!useMay("GET /status")) return <Navigate to="/cdrs" />;
  return (
    <div className={wall ? "wall" : undefined}>
      <Page
        title={t("nav.overview")}
        needs="GET /status"
        actions={
          <Button
            variant="default"
            size="xs"
            onClick={() => go({ search: { wall: wall ? undefined : "1" }, replace: true })}
          >
            {t(wall ? "overview.leave_wall" : "overview.wall")}
          </Button>
        }
      >
        <Now />
        <Alarms />
        <Day />
        {!wall && <Gateways />}
      </Page>
    </div>
  );
}

function Figure({
  name,
  to,
  search,
  children,
}: {
  name: string;
  to?: string;
  search?: Narrowing;
  children: ReactNode;
}) {
  const inner = (
    <>
      {name}
      <b>{children}</b>
    </>
  );
  if (!to) return <div className="figure">{inner}</div>;
  return (
    <Link to={to} search={search} className="figure">
      {inner}
    </Link>
  );
}

function Now() {
  const { t } = useTranslation();
  const status = useQuery({
    queryKey: ["status"],
    queryFn: () => content(client.GET("/status")),
    refetchInterval: STATE_MS,
  });
  const [points, setPoints] = useState<Point[]>([]);
  const found = status.data;
  useEffect(() => {
    if (!found) return;
    const point: Point = [Date.now() / 1_000, Number(figure(found.figures, "calls"))];
    setPoints((before) => [...before.slice(1 - POINTS_MAX), point]);
  }, [found]);
  if (!found) return <ProblemText error={status.error} />;
  const { machine, database } = found;
  return (
    <>
      <ProblemText error={status.error} />
      <section className="figures" aria-label={t("overview.node")}>
        <Figure name={t("overview.calls")} to="/calls">
          {figure(found.figures, "calls")}
        </Figure>
        <Figure name={t("overview.phones")} to="/lists/registrations">
          {figure(found.figures, "phones_online")}
        </Figure>
        <Figure name={t("overview.backlog")}>{figure(found.figures, "spool_rows")}</Figure>
        <Figure name={t("overview.database")}>
          <State value={database.state} />
        </Figure>
        <Figure name={t("overview.processor")}>{percent(machine.cpu_percent)}</Figure>
        <Figure name={t("overview.memory")}>{percent(machine.memory_percent)}</Figure>
        <Figure name={t("overview.disk")}>{percent(machine.disk_free_percent)}</Figure>
        <Figure name={`${t("overview.node")} ${found.version}`} to="/lists/parameters">
          {found.node}
        </Figure>
      </section>
      <TimeChart label={t("overview.running")} points={points} />
    </>
  );
}

const figure = (figures: unknown, name: string): string => String((figures as Row)[name] ?? 0);
const percent = (value: unknown): string => (typeof value === "number" ? `${value.toFixed(0)} %` : "–");

function Alarms() {
  const { t } = useTranslation();
  const alarms = useQuery({
    queryKey: ["alarms", false],
    queryFn: () => content(client.GET("/alarms")),
    refetchInterval: STATE_MS,
  });
  const raised = alarms.data?.alarms ?? [];
  if (raised.length === 0) return <p className="quiet">{alarms.data ? t("overview.no_alarms") : ""}</p>;
  return raised.slice(0, TOP).map((each) => (
    <Alert
      key={`${each.alarm} ${each.subject}`}
      variant="outline"
      color={each.level === "critical" || each.level === "error" ? "red" : "yellow"}
      title={`${each.alarm} ${each.subject}`}
      p="xs"
    >
      {each.text} <Link to="/alarms">{t("alarms.do")}</Link>
    </Alert>
  ));
}

function Day() {
  const { t } = useTranslation();
  const sees = useMay("GET /reports/{name}");
  const since = dayBegin(new Date());
  const day = useQuery({
    queryKey: ["report", "daily", since],
    queryFn: () => reportOf("daily", { since, group: "whole" }),
    refetchInterval: DAY_MS,
    enabled: sees,
  });
  const top = useQuery({
    queryKey: ["report", "top-customers", since],
    queryFn: () => reportOf("top-customers", { since }),
    refetchInterval: DAY_MS,
    enabled: sees,
  });
  if (!sees) return null;
  return (
    <>
      <ProblemText error={day.error ?? top.error} />
      {day.data?.totals.map((total, index) => (
        <section className="figures" key={String(total.income_currency ?? index)} aria-label={t("overview.day")}>
          {DAY.filter((name) => total[name] !== undefined && total[name] !== null).map((name) => (
            <Figure key={name} name={t(`overview.day_${name}`)} to="/reports" search={{ name: "daily" }}>
              {amount(String(total[name]))} {MONEY.has(name) ? String(total.income_currency ?? "") : ""}
            </Figure>
          ))}
        </section>
      ))}
      <Title order={2} size="h4">
        {t("overview.top")}
      </Title>
      <ReportTable label={t("overview.top")} report={top.data} isLoading={top.isPending} />
    </>
  );
}

function Gateways() {
  const { t } = useTranslation();
  const sees = useMay("GET /gateways/quality");
  const found = useQuery({
    queryKey: ["quality"],
    queryFn: () => pageOf("/gateways/quality", { limit: GATEWAYS_MAX }),
    refetchInterval: STATE_MS * 2,
    enabled: sees,
  });
  if (!sees) return null;
  return (
    <>
      <Title order={2} size="h4">
        {t("overview.quality")}
      </Title>
      <ProblemText error={found.error} />
      <Table
        label={t("overview.quality")}
        columns={gatewayColumns}
        rows={found.data?.items ?? []}
        rowKey={(row) => `${row.kind} ${row.gateway}`}
        isLoading={found.isPending}
      />
    </>
  );
}
