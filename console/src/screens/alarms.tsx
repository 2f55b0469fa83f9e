import { Alert, Switch } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { allOf, queryText, type Row, send, unlessChanged, unlessOther } from "../api/client";
import { present } from "../api/clock";
import { moment } from "../format";
import { Act } from "../parts/act";
import { AlarmSection } from "../parts/alarmsection";
import { CommandPages } from "../parts/commandpages";
import { Go } from "../parts/go";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Subject, useHelp } from "../parts/subject";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { Moment, useFacts } from "../parts/values";
import { ServerText, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

const READ_MS = 2_000;
const ALARMS_MAX = 1_000;

export function AlarmsScreen() {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const facts = useFacts();
  const { history, level, about } = useSearch({ from: "/alarms" });
  const go = useNavigate({ from: "/alarms" });
  // levels are chosen here, and alarms that are raised may be on any page
  const found = useRows(
    "/alarms",
    { limit: ALARMS_MAX, history: history ? true : undefined },
    { refetchInterval: READ_MS, isWhole: !history || Boolean(level) },
  );
  const rows = level ? found.rows.filter((row) => row.level === level) : found.rows;
  return (
    <Page
      title={t("nav.alarms")}
      needs="GET /alarms"
      tools={
        <Switch
          label={t("alarms.history")}
          checked={Boolean(history)}
          onChange={(event) => go({ search: { level, history: event.currentTarget.checked ? "1" : undefined } })}
        />
      }
    >
      <LastDone />
      <ProblemText error={found.error} again={found.again} />
      {rows
        .filter((row) => !row.cleared_at)
        .map((row) => (
          <Alert
            key={`${row.alarm} ${row.subject}`}
            role="group"
            variant="outline"
            color="yellow"
            title={
              <>
                {inLanguage(String(row.alarm))}
                {row.subject ? " " : ""}
                <Subject alarm={String(row.alarm)} subject={String(row.subject)} />
                {row.text ? `: ${facts(String(row.text))}` : ""}
              </>
            }
          >
            <p>
              <b>{t("alarms.do")}:</b> <ServerText text={row.do} />{" "}
              <Link to="/alarms" search={{ history, level, about: String(row.alarm) }}>
                {t("alarms.section", { alarm: inLanguage(String(row.alarm)) })}
              </Link>
              <Help alarm={String(row.alarm)} remedy={String(row.do)} />
            </p>
            {row.confirmed_by ? (
              <p>
                {t("alarms.confirmed_by", { who: row.confirmed_by })} {String(row.note ?? "")}
              </p>
            ) : null}
            {row.silent_until ? (
              <p>
                {t("alarms.silent_until")} <Moment value={row.silent_until} />
              </p>
            ) : null}
            <Confirmation row={row} />
          </Alert>
        ))}
      <RowCount of={found} shown={rows.length} />
      <Table
        label={t("nav.alarms")}
        columns={[
          {
            name: "alarm",
            show: ({ alarm }) => (
              <Go to={`/alarms?${queryText({ history, level, about: String(alarm) })}`}>{inLanguage(String(alarm))}</Go>
            ),
          },
          {
            name: "subject",
            show: ({ alarm, subject }) => <Subject alarm={String(alarm)} subject={String(subject || "–")} />,
          },
          { name: "level", kind: "state" },
          { name: "since", kind: "moment" },
          { name: "last", kind: "moment" },
          { name: "count", kind: "number" },
          { name: "cleared_at", kind: "moment" },
          { name: "confirmed_by" },
          { name: "note", kind: "words" },
          { name: "silent_until", kind: "moment" },
          { name: "text", kind: "facts" },
        ]}
        rows={rows}
        rowKey={(row, index) => `${row.alarm} ${row.subject} ${row.since} ${index}`}
        {...found.table}
        onClear={level ? () => go({ search: { history } }) : undefined}
      />
      <AlarmSection
        alarm={about}
        title={inLanguage(about ?? "")}
        narrowing={{ history, level }}
        onClose={() => go({ search: { history, level }, replace: true })}
      />
    </Page>
  );
}

/** The way to the page that helps with an alarm, else to those that do what its remedy names. */
function Help({ alarm, remedy }: { alarm: string; remedy: string }) {
  const { t } = useTranslation();
  const help = useHelp(alarm);
  if (!help) return <CommandPages text={remedy} />;
  return (
    <>
      {" · "}
      <Go to={help.to}>{t([help.text])}</Go>
    </>
  );
}

/** Say that an alarm was seen, with a note for the others, and keep it silent until a moment. */
function Confirmation({ row }: { row: Row }) {
  const { t } = useTranslation();
  const named = `${row.alarm} ${row.subject}`.trim();
  const silent = Date.parse(String(row.silent_until)) > present() ? String(row.silent_until) : "";
  const confirm = (note: unknown, until: unknown, key?: string) =>
    send("post", `/alarms/${encodeURIComponent(String(row.alarm))}/confirmation`, {
      headers: key ? { "Idempotency-Key": key } : {},
      body: { subject: row.subject, note: note || undefined, until: until || undefined },
    });
  // one that has ended and was raised again is another alarm
  const confirmationOf = (each: Row) => [each.since, each.confirmed_by, each.note, each.silent_until];
  const confirmation = async () => {
    const raised = await allOf("/alarms");
    const found = raised.find((each) => each.alarm === row.alarm && each.subject === row.subject);
    return found && confirmationOf(found);
  };
  return (
    <Act
      needs="POST /alarms/{alarm}/confirmation"
      act={t("alarms.confirm")}
      title={t("alarms.confirm_title", { alarm: named })}
      lead={t("alarms.silence_means")}
      asks={[
        { name: "note", label: t("column.note"), begin: String(row.note ?? "") },
        { name: "until", label: t("alarms.silence"), kind: "moment", begin: silent },
      ]}
      run={async ({ note, until }, key, again) => {
        const act = () => confirm(note, until, key);
        await unlessOther(confirmationOf(row), confirmation, act, again);
        // that it was seen stays so: its note and its silence are as they were
        return unlessChanged(confirmation, () => confirm(row.confirmed_by ? row.note : note, silent), again);
      }}
      said={(_, { until = "" }) =>
        t(until ? "alarms.silenced" : "alarms.was_confirmed", { alarm: named, until: moment(until, new Date()) })
      }
      undo={(undo, { until }) => (until || row.confirmed_by ? undo : undefined)}
    />
  );
}
