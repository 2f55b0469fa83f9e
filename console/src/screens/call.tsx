/** One call: what it was, where it went and why, what each cent is for. */

import { Alert, Tabs, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { client, content, Problem, type Row } from "../api/client";
import { Facts, Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table } from "../parts/table";
import { type Kind, Value } from "../parts/values";
import { useMay } from "../session";

const NOT_FOUND = 404;
const FACTS: readonly (readonly [string, Kind])[] = [
  ["started_at", "moment"],
  ["answered_at", "moment"],
  ["ended_at", "moment"],
  ["caller_in", "text"],
  ["callee_in", "text"],
  ["callee_out", "text"],
  ["customer_account", "account"],
  ["mapping_gateway", "gateway"],
  ["vendor_account", "account"],
  ["routing_gateway", "gateway"],
  ["end_reason", "state"],
  ["sip_code", "text"],
  ["hangup_source", "text"],
  ["pdd_ms", "text"],
  ["hold_time_s", "text"],
  ["billed_seconds", "text"],
  ["fee", "money"],
  ["tax", "money"],
];

export function CallScreen() {
  const { t } = useTranslation();
  const { call: call_id } = useParams({ from: "/cdrs/$call" });
  const params = { params: { path: { call_id } } };
  const sees = {
    why: useMay("GET /cdrs/{call_id}/why"),
    charges: useMay("GET /cdrs/{call_id}/charges"),
    ladder: useMay("GET /cdrs/{call_id}/ladder"),
  };
  const record = useQuery({
    queryKey: ["cdr", call_id],
    queryFn: () => content(client.GET("/cdrs/{call_id}", params)).catch(runningCall(call_id)) as Promise<Row>,
  });
  const row = record.data;
  const isRunning = row !== undefined && !row.ended_at;
  return (
    <Page title={`${t("call.title")} ${call_id}`} needs="GET /cdrs/{call_id}">
      <ProblemText error={record.error} again={() => record.refetch()} />
      {isRunning && <Alert variant="outline">{t("call.running")}</Alert>}
      {row && (
        <Tabs defaultValue="facts" keepMounted={false}>
          <Tabs.List>
            <Tabs.Tab value="facts">{t("call.facts")}</Tabs.Tab>
            {sees.why && !isRunning && <Tabs.Tab value="why">{t("call.why")}</Tabs.Tab>}
            {sees.charges && !isRunning && <Tabs.Tab value="charges">{t("call.charges")}</Tabs.Tab>}
            {sees.ladder && <Tabs.Tab value="ladder">{t("call.ladder")}</Tabs.Tab>}
            <Tabs.Tab value="record">{t("call.record")}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="facts" pt="sm">
            <Facts
              facts={FACTS.filter(([name]) => row[name] !== undefined).map(([name, kind]) => [
                t(`column.${name}`),
                <Value key={name} row={row} name={name} kind={kind} />,
              ])}
            />
          </Tabs.Panel>
          <Tabs.Panel value="why" pt="sm">
            <Why call_id={call_id} />
          </Tabs.Panel>
          <Tabs.Panel value="charges" pt="sm">
            <Charges call_id={call_id} />
          </Tabs.Panel>
          <Tabs.Panel value="ladder" pt="sm">
            <Ladder call_id={call_id} isRunning={isRunning} />
          </Tabs.Panel>
          <Tabs.Panel value="record" pt="sm">
            <Tree value={row} />
          </Tabs.Panel>
        </Tabs>
      )}
    </Page>
  );
}

/** Where there is no record yet, the call may be running. */
function runningCall(call_id: string) {
  return async (error: unknown) => {
    if (!(error instanceof Problem && error.status === NOT_FOUND)) throw error;
    return content(client.GET("/calls/{call_id}", { params: { path: { call_id } } }));
  };
}

function Why({ call_id }: { call_id: string }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["why", call_id],
    queryFn: () => content(client.GET("/cdrs/{call_id}/why", { params: { path: { call_id } } })) as Promise<Row>,
  });
  const why = found.data;
  if (!why) return <ProblemText error={found.error} />;
  return (
    <>
      <p>
        <b>{String(why.result)}</b> {why.detail ? String(why.detail) : ""}
      </p>
      <Candidates rows={(why.candidates as Row[] | undefined) ?? []} label={t("try.candidates")} />
      <Left rows={(why.left as Row[] | undefined) ?? []} />
      <Whole value={why} />
    </>
  );
}

/** Gateways in the order in which they are tried, with what decides about it. */
export function Candidates({ rows, label }: { rows: Row[]; label: string }) {
  return (
    <Table
      label={label}
      columns={[
        { name: "position", kind: "number" },
        { name: "routing_gateway", kind: "gateway" },
        { name: "reason" },
        { name: "callee_out" },
        { name: "prefix" },
        { name: "priority", kind: "number" },
        { name: "cost", kind: "money" },
        { name: "margin", kind: "money" },
        { name: "asr", kind: "percent" },
        { name: "acd_s", kind: "percent" },
      ]}
      rows={rows}
      rowKey={(row, index) => `${row.routing_gateway} ${index}`}
    />
  );
}

/** Gateways that are not tried, each with its reason. */
export function Left({ rows }: { rows: Row[] }) {
  const { t } = useTranslation();
  if (rows.length === 0) return null;
  return (
    <>
      <Title order={2} size="h4">
        {t("call.left_out")}
      </Title>
      <Table
        label={t("call.left_out")}
        columns={[{ name: "routing_gateway", kind: "gateway" }, { name: "reason" }]}
        rows={rows}
        rowKey={(row, index) => `${row.routing_gateway} ${index}`}
      />
    </>
  );
}

function Charges({ call_id }: { call_id: string }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["charges", call_id],
    queryFn: () =>
      content(client.GET("/cdrs/{call_id}/charges", { params: { path: { call_id } } })) as Promise<unknown> as Promise<
        Row[]
      >,
  });
  if (found.data?.length === 0) return <p>{t("call.no_charges")}</p>;
  return (
    <>
      <ProblemText error={found.error} />
      {found.data?.map((charge, index) => (
        <section key={`${charge.role} ${index}`}>
          <Title order={2} size="h4">
            {String(charge.role ?? "")} {String(charge.account ?? "")}
          </Title>
          <Tree value={charge} />
        </section>
      ))}
    </>
  );
}

interface Message {
  at: string;
  way: string;
  leg: number;
  message: string;
}

function Ladder({ call_id, isRunning }: { call_id: string; isRunning: boolean }) {
  const { t } = useTranslation();
  const path = isRunning ? "/calls/{call_id}/ladder" : "/cdrs/{call_id}/ladder";
  const found = useQuery({
    queryKey: ["ladder", call_id],
    queryFn: () => content(client.GET(path, { params: { path: { call_id } } })) as Promise<Row>,
  });
  const messages = (found.data?.messages ?? []) as Message[];
  if (found.error) return <ProblemText error={found.error} />;
  if (found.data && messages.length === 0) return <p>{t("call.ladder_none")}</p>;
  return (
    <ol>
      {messages.map((each, index) => (
        <li key={`${each.at} ${index}`}>
          <details>
            <summary>
              {each.at.slice(11, 23)} {each.way === "in" ? "→" : "←"} {each.leg} {each.message.split("\r\n")[0]}
            </summary>
            <pre className="plain">{each.message}</pre>
          </details>
        </li>
      ))}
    </ol>
  );
}

/** A document that is opened by those who want to know all. */
export function Whole({ value }: { value: unknown }) {
  const { t } = useTranslation();
  return (
    <details>
      <summary>{t("call.whole")}</summary>
      <Tree value={value} />
    </details>
  );
}

/** A document as nested lists of its names and values. */
export function Tree({ value }: { value: unknown }): ReactNode {
  if (value === null || typeof value !== "object") return String(value);
  const entries = Object.entries(value).filter(([, inner]) => inner !== null && inner !== "");
  return <Facts facts={entries.map(([name, inner]) => [name, <Tree key={name} value={inner} />])} />;
}
