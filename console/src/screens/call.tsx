/** One call: what it was, where it went and why, what each cent is for. */

import { Alert, Anchor, Button, Group, Tabs, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type ReactNode, useRef } from "react";
import { client, content, explained, Problem, type Row } from "../api/client";
import { type Attempt, Attempts } from "../parts/attempts";
import { Download } from "../parts/download";
import { NotShown, withMoney } from "../parts/lacking";
import { LadderPicture } from "../parts/ladder";
import { marginIn } from "../parts/margin";
import type { Ladder as Messages } from "../parts/messages";
import { Facts, Page } from "../parts/page";
import { Reading } from "../parts/problem";
import { Steps } from "../parts/steps";
import { type Column, Table } from "../parts/table";
import { type Kind, Money, State, Value } from "../parts/values";
import { useMay } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { Correction, Corrections, chargesQuery } from "./correction";

const NOT_FOUND = 404;
const LIVE_MS = 1_000;
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
  ["hangup_source", "state"],
  ["pdd_ms", "text"],
  ["hold_time_s", "text"],
  ["billed_seconds", "text"],
  ["fee", "money"],
  ["tax", "money"],
];

export function CallScreen() {
  const { t } = useTranslation();
  const { call: call_id } = useParams({ from: "/cdrs/$call" });
  const search = useSearch({ from: "/cdrs/$call" });
  const go = useNavigate({ from: "/cdrs/$call" });
  const sees = {
    why: useMay("GET /cdrs/{call_id}/why"),
    charges: useMay("GET /cdrs/{call_id}/charges"),
    ladder: useMay("GET /cdrs/{call_id}/ladder"),
  };
  const record = useQuery({
    queryKey: ["cdr", call_id],
    queryFn: ({ client: queries, queryKey }) => {
      const known = queries.getQueryData<Row>(queryKey);
      return known && !known.ended_at ? callNow(call_id) : callThen(call_id);
    },
    refetchInterval: (query) => (query.state.data && !query.state.data.ended_at ? LIVE_MS : false),
  });
  const row = record.data;
  const isRunning = row !== undefined && !row.ended_at;
  const attempts = (row?.attempts ?? []) as Attempt[];
  const tabs = [
    "facts",
    ...(sees.why && !isRunning ? ["why"] : []),
    ...(sees.charges && !isRunning ? ["charges"] : []),
    ...(sees.ladder ? ["ladder"] : []),
    "record",
  ];
  return (
    <Page title={`${t("call.title")} ${call_id}`} needs="GET /cdrs/{call_id}" actions={row && <TraceNext row={row} />}>
      <Reading of={record} />
      {isRunning && <Alert variant="outline">{t("call.running")}</Alert>}
      {row && !isRunning && <Sentence call_id={String(row.call_id)} row={row} />}
      {row && (
        <Tabs
          value={tabs.includes(search.tab ?? "") ? search.tab : tabs[0]}
          onChange={(tab) => go({ search: { tab: tab ?? undefined } })}
          keepMounted={false}
        >
          <Tabs.List>
            {tabs.map((tab) => (
              <Tabs.Tab key={tab} value={tab}>
                {t(`call.${tab}`)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="facts" pt="sm">
            {row.attempts !== undefined && (
              <>
                <Title order={2} size="h4">
                  {t("call.attempts")}
                </Title>
                <Attempts attempts={attempts} />
              </>
            )}
            <Facts
              facts={FACTS.filter(([name]) => row[name] !== undefined).map(([name, kind]) => [
                t(`column.${name}`),
                <Value key={name} row={row} name={name} kind={kind} />,
              ])}
            />
          </Tabs.Panel>
          <Tabs.Panel value="why" pt="sm">
            <Why call_id={call_id} row={row} />
          </Tabs.Panel>
          <Tabs.Panel value="charges" pt="sm">
            <Charges call_id={String(row.call_id)} />
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

/** Why the call ended as it did, in a sentence, and what to do about it. */
function Sentence({ call_id, row }: { call_id: string; row: Row }) {
  const sees = useMay("GET /calls/why");
  const found = useQuery({
    queryKey: ["sentence", call_id],
    queryFn: () => content(client.GET("/calls/why", { params: { query: { call_id } } })) as Promise<Row>,
    enabled: sees,
  });
  const page = (found.data?.calls as Row[] | undefined)?.[0];
  if (!sees) return null;
  return (
    <p>
      <b>
        <ServerText text={page?.headline ?? row.end_reason} />
      </b>{" "}
      {page?.refusal ? (
        <>
          <ServerText text={page.refusal} /> ·{" "}
        </>
      ) : null}
      <ServerText text={page?.todo} />
    </p>
  );
}

/** Lead to the next call from the same side to the same number, as it happens. */
function TraceNext({ row }: { row: Row }) {
  const { t } = useTranslation();
  const may = useMay("GET /calls/trace");
  if (!may) return null;
  const search = { caller: String(row.caller_in ?? ""), callee: String(row.callee_in ?? "") };
  return (
    <Button size="xs" variant="default" renderRoot={(props) => <Link to="/trace" search={search} {...props} />}>
      {t("trace.next")}
    </Button>
  );
}

/** The record of a call; where there is none yet, it may run. */
async function callThen(call_id: string): Promise<Row> {
  try {
    return (await content(client.GET("/cdrs/{call_id}", { params: { path: { call_id } } }))) as Row;
  } catch (error) {
    if (!(error instanceof Problem && error.status === NOT_FOUND)) throw error;
    return callNow(call_id);
  }
}

/** The record of a call, also while it runs: then as it would be if the call ended now. */
async function callNow(call_id: string): Promise<Row> {
  const sheet = (await content(client.GET("/calls/{call_id}", { params: { path: { call_id } } }))) as Row;
  return (sheet.record as Row | null) ?? (sheet.call as Row | null) ?? sheet;
}

function Why({ call_id, row }: { call_id: string; row: Row }) {
  const { t } = useTranslation();
  const mayExplain = useMay("POST /routes/explain");
  const found = useQuery({
    queryKey: ["why", call_id],
    queryFn: () => content(client.GET("/cdrs/{call_id}/why", { params: { path: { call_id } } })) as Promise<Row>,
  });
  const why = found.data;
  if (!why) return <Reading of={found} />;
  const asked = {
    gateway: String(row.mapping_gateway ?? ""),
    caller: String(row.caller_in ?? ""),
    callee: String(row.callee_in ?? ""),
  };
  return (
    <>
      <div className="beside">
        <section aria-label={t("call.then")}>
          <Title order={2} size="h4">
            {t("call.then")}
          </Title>
          <p>
            <State value={why.result} /> <ServerText text={why.refusal} />
          </p>
          <Candidates rows={(why.candidates as Row[] | undefined) ?? []} label={t("try.candidates")} isShort />
          <Left rows={(why.left as Row[] | undefined) ?? []} />
        </section>
        {mayExplain && asked.gateway && <Now asked={asked} />}
      </div>
      <Whole value={why} />
    </>
  );
}

/** The route of such a call as it would be at this moment. */
function Now({ asked }: { asked: { gateway: string; caller: string; callee: string } }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["explain", asked],
    queryFn: () => explained(asked),
  });
  const sheet = found.data?.sheet as Row | undefined;
  return (
    <section aria-label={t("call.now")}>
      <Title order={2} size="h4">
        {t("call.now")}
      </Title>
      {!sheet && <Reading of={found} />}
      {sheet && (
        <>
          <p>
            <State value={sheet.result} /> <ServerText text={sheet.detail} />{" "}
            <Anchor renderRoot={(props) => <Link to="/try" search={asked} {...props} />}>{t("call.try")}</Anchor>
          </p>
          <Candidates rows={(sheet.candidates ?? []) as Row[]} label={t("call.candidates_now")} isShort />
          <Left rows={(sheet.left ?? []) as Row[]} />
          <NotShown lacking={found.data?.lacking} />
        </>
      )}
    </section>
  );
}

/** Gateways in the order in which they are tried, with what decides about it. */
export function Candidates(props: { rows: Row[]; label: string; currency?: unknown; isShort?: boolean }) {
  const { rows, label, currency, isShort } = props;
  const first: Column[] = [
    { name: "position", kind: "number" },
    { name: "routing_gateway", kind: "gateway" },
    { name: "reason", kind: "sentence" },
  ];
  const more: Column[] = [
    { name: "callee_out" },
    { name: "prefix" },
    { name: "priority", kind: "number" },
    { name: "cost", kind: "money" },
    marginIn(currency),
    { name: "asr", kind: "percent" },
    { name: "acd_s", kind: "percent" },
  ];
  return (
    <Table
      label={label}
      columns={isShort ? first : withMoney([...first, ...more], rows)}
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
        columns={[
          { name: "routing_gateway", kind: "gateway" },
          { name: "reason", kind: "sentence" },
        ]}
        rows={rows}
        rowKey={(row, index) => `${row.routing_gateway} ${index}`}
      />
    </>
  );
}

function Charges({ call_id }: { call_id: string }) {
  const { t } = useTranslation();
  const mayCorrect = useMay("POST /cdrs/{call_id}/corrections");
  const found = useQuery(chargesQuery(call_id));
  const charges = found.data;
  if (charges?.length === 0) return <p>{t("call.no_charges")}</p>;
  return (
    <>
      {!charges && <Reading of={found} />}
      {mayCorrect && charges && <Correction call_id={call_id} />}
      <Corrections call_id={call_id} />
      <div className="beside">
        {charges?.map((charge, index) => (
          <Charge key={`${charge.role} ${index}`} charge={charge} />
        ))}
      </div>
    </>
  );
}

function Charge({ charge }: { charge: Row }) {
  const { t } = useTranslation();
  const titled = `${t(`call.role_${charge.role}`, { defaultValue: String(charge.role ?? "") })} ${charge.account ?? ""}`;
  return (
    <section>
      <Title order={2} size="h4">
        {titled}
      </Title>
      <p className="quiet">
        {t("call.charged", { group: charge.rate_group, prefix: charge.rate_prefix, seconds: charge.billed_seconds })}
      </p>
      <Steps label={titled} steps={(charge.breakdown as Row[] | null) ?? []} />
      <Facts
        facts={["fee", "tax", "corrected"]
          .filter((name) => charge[name] !== undefined)
          .map((name) => [
            t(`column.${name}`),
            name === "corrected" ? (
              String(charge[name])
            ) : (
              <Money key={name} value={charge[name]} currency={charge.currency} />
            ),
          ])}
      />
    </section>
  );
}

const FORMS = [
  ["txt", "text/plain"],
  ["pcap", "application/vnd.tcpdump.pcap"],
] as const;

function Ladder({ call_id, isRunning }: { call_id: string; isRunning: boolean }) {
  const { t } = useTranslation();
  const path = isRunning ? "/calls/{call_id}/ladder" : "/cdrs/{call_id}/ladder";
  const found = useQuery({
    queryKey: ["ladder", call_id, isRunning],
    queryFn: () => content(client.GET(path, { params: { path: { call_id } } })) as Promise<Messages>,
    refetchInterval: isRunning ? LIVE_MS : false,
  });
  const seen = useRef<Messages | null>(null);
  if (isRunning && found.data) seen.current = found.data;
  // messages of calls that ended well are dropped with them: those that were seen stay in sight
  const shown = found.data ?? seen.current;
  if (!shown) return <Reading of={found} />;
  if (!shown.messages?.length) return <p>{t("call.ladder_none")}</p>;
  return (
    <>
      <Group gap="xs" mb="xs">
        {found.data &&
          FORMS.map(([form, accept]) => (
            <Download
              key={form}
              size="compact-xs"
              path={path.replace("{call_id}", call_id)}
              accept={accept}
              name={`${call_id}.${form}`}
            >
              {t(`ladder.${form}`)}
            </Download>
          ))}
        {isRunning && <span role="status">{t("ladder.live", { count: shown.messages.length })}</span>}
        {!found.data && <span role="status">{t("ladder.seen")}</span>}
      </Group>
      <LadderPicture ladder={shown} />
    </>
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
