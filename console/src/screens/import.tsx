/** Import a sheet of rates: choose it, say what its columns are, look at the difference, put it in force. */

import { Alert, Checkbox, Group, SegmentedControl, Select, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { memo, useMemo, useRef, useState } from "react";
import { client, content, fileContent, ifVersion, Problem, pageOf, type Row, stream } from "../api/client";
import { present } from "../api/clock";
import { endOf, type Job, resultOf } from "../api/jobs";
import { amount, moment } from "../format";
import { keep, recall } from "../kept";
import { Change, type Done, DoneText } from "../parts/change";
import { Download } from "../parts/download";
import { FileField } from "../parts/filefield";
import { JobUnderWay } from "../parts/jobunderway";
import { MomentInput } from "../parts/minute";
import { OrderButton } from "../parts/orderbutton";
import { Facts } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { rollBack } from "../parts/rollback";
import { Table } from "../parts/table";
import { useUnsaved } from "../parts/unsaved";
import { Moment, Money, useStateWord } from "../parts/values";
import { useMay } from "../session";
import { useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { useZone, zoneName } from "../zone";
import {
  COLUMNS,
  CSV,
  contentType,
  encodingOf,
  fitting,
  guessed,
  headerLine,
  mapText,
  rowsFrom,
  type SheetMap,
  textOf,
  withDecimal,
} from "./sheet";

const WEEK_DAYS = 7;
const READ_BYTES = 65_536;
const SHOWN = 5;
/** Most changes of one kind that the page keeps: a million took a gigabyte of the browser's memory. */
const KEPT_MAX = 20_000;
const HTTP_STALE = 412;
/** Terms that belong to one sheet alone. */
const ENTERED_ANEW = { effective: "", memo: "" };
const CHANGES = ["up", "down", "new", "closed", "opened", "changed"] as const;

interface Chosen {
  file: File;
  /** The first part of the file; null for a workbook, which only the server reads. */
  beginning: Uint8Array<ArrayBuffer> | null;
}

interface Terms {
  mode: "full" | "delta";
  effective: string;
  memo: string;
}

interface Trial {
  job: number;
  report: Row;
  /** Changes as the file of the job has them, the first `KEPT_MAX` of each kind. */
  rows: Row[];
  /** The map by which the sheet was read; null = by that of the server. */
  map: SheetMap | null;
}

const kept = (group: string) => `vosd.sheet.${group}`;

/** The map that was used last for a group in this browser; the server keeps its own by the header. */
function lastMap(group: string): SheetMap | null {
  try {
    return JSON.parse(recall(kept(group)) ?? "null") as SheetMap | null;
  } catch {
    return null;
  }
}

/** The map that was used last where it fits the header of a sheet, else what the names of its columns say. */
function mapFor(group: string, beginning: Uint8Array<ArrayBuffer>): SheetMap {
  const last = lastMap(group);
  const text = textOf(beginning, last?.encoding);
  const header_line = headerLine(text);
  const header = rowsFrom(text, header_line)[0] ?? [];
  const columns = last ? fitting(last.columns, header) : guessed(header);
  if (columns === last?.columns) return { ...last, header_line };
  return { columns, header_line, encoding: last?.encoding };
}

export function SheetImport({ group, currency }: { group: string; currency: unknown }) {
  const { t } = useTranslation();
  useZone();
  const [chosen, setChosen] = useState<Chosen | null>(null);
  /** The map that the person has said for this sheet. */
  const [said, setSaid] = useState<SheetMap | null>(null);
  const [terms, setTerms] = useState<Terms>({ mode: "full", ...ENTERED_ANEW });
  /** Whether it may close many prefixes: said of the comparison that is shown, never of a later one. */
  const [force, setForce] = useState(false);
  const [progress, setProgress] = useState(0);
  const comparing = useRef<HTMLButtonElement>(null);
  const [done, setDone] = useState<Done | null>(null);
  const [moved, setMoved] = useState<Problem | null>(null);
  /** Whether it was refused because it closes many prefixes. */
  const [closesMany, setClosesMany] = useState(false);
  const unsaved = useUnsaved(chosen !== null);
  const versions = useQuery({
    queryKey: ["latest version", group],
    queryFn: () => pageOf(`/decks/${encodeURIComponent(group)}/versions`, { limit: 1 }),
    enabled: useMay("GET /decks/{rate_group}/versions"),
  });
  const isFirst = versions.data?.items.length === 0;
  const beginning = chosen?.beginning ?? null;
  const guess = useMemo(() => beginning && mapFor(group, beginning), [group, beginning]);
  // the server has the map of an earlier sheet with this header, which may say more than is asked here
  const map = said ?? (isFirst ? guess : null);
  const say = (next: SheetMap | null) => {
    setSaid(next);
    trial.reset();
  };
  const send = async (isTrial: boolean, map: SheetMap | null, headers: Record<string, string> = {}): Promise<Job> => {
    if (!chosen) throw new Error(t("rates.no_file"));
    return content(
      client.POST("/decks/{rate_group}/imports", {
        params: {
          path: { rate_group: group },
          query: {
            file: chosen.file.name,
            mode: terms.mode,
            effective: terms.effective || undefined,
            map: map ? mapText(map) : undefined,
            memo: terms.memo || undefined,
            ...(isTrial ? { dry_run: true, traffic: WEEK_DAYS } : { force: force || undefined }),
          },
        },
        headers: { "Content-Type": contentType(chosen.file.name), ...headers },
        body: (await fileContent(chosen.file)) as never,
        bodySerializer: (body: unknown) => body as Blob,
      }),
    );
  };
  const trial = useMutation({
    mutationFn: async ({ signal }: AbortController): Promise<Trial> => {
      const read = map && beginning && withDecimal(map, beginning);
      const job = await endOf(await send(true, read), setProgress, signal);
      const report = (await content(client.GET("/jobs/{id}/result", { params: { path: { id: job.id } } }))) as Row;
      const rows: Row[] = [];
      const counts: Record<string, number> = {};
      // of 100,000 prices it takes a second, in which the page would stand still
      await stream(
        `/jobs/${job.id}/result`,
        signal,
        () => {},
        (row) => {
          const count = (counts[String(row.change)] ?? 0) + 1;
          counts[String(row.change)] = count;
          if (count <= KEPT_MAX) rows.push({ ...row, currency });
        },
      );
      return { job: job.id, report, map: read, rows };
    },
    onError: (failure) => {
      // the server knows no such header: what its titles say is looked at by the person
      if (isOfSheet(failure) && !map && guess) setSaid(guess);
    },
  });
  const compare = () => {
    setMoved(null);
    setForce(false);
    setClosesMany(false);
    setProgress(0);
    trial.mutate(new AbortController());
  };
  const change = <Name extends keyof Terms>(name: Name, value: Terms[Name]) => {
    setTerms({ ...terms, [name]: value });
    if (name !== "memo") trial.reset(); // what it compares does not depend on the memo
  };
  const choose = async (file: File | null) => {
    trial.reset();
    setDone(null);
    setMoved(null);
    setSaid(null);
    if (!file) return setChosen(null);
    const isText = contentType(file.name) === CSV;
    setChosen({ file, beginning: isText ? new Uint8Array(await file.slice(0, READ_BYTES).arrayBuffer()) : null });
  };
  const run = async (
    { report: { replaced: before }, map }: Trial,
    key: string,
    note: (progress: number) => void,
  ): Promise<Done> => {
    // what is put in force is what was compared, not that on top of another person's rates
    const headers = { ...ifVersion(Number(before ?? 0)), "Idempotency-Key": key };
    const report = await resultOf(await send(false, map, headers), note);
    if (map) keep(kept(group), JSON.stringify(map));
    const replaced = report.replaced as number | null;
    const version = report.version as number | null;
    if (version === null) {
      const said = [t("rates.in_force_already", { version: replaced }), earlyText(t, report)];
      return { said: said.filter(Boolean).join(". ") };
    }
    const said = (version: number) => t("rates.in_force", { version });
    const isLater = Date.parse(String(report.effective)) > present();
    return {
      said: isLater ? t("rates.stored", { version, at: atOf(report) }) : said(version),
      undo: () => rollBack(group, replaced ?? 0, version, said),
    };
  };
  return (
    <Stack gap="sm">
      {done && <DoneText key={done.said} done={done} />}
      {/* a form, because its fields refuse a date that is entered in part */}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          compare();
        }}
      >
        <Stack gap="sm">
          <Group align="end" gap="xs">
            <FileField
              label={t("rates.file")}
              accept={`.csv,.txt,.xlsx,.xlsm,${CSV}`}
              value={chosen?.file ?? null}
              onChange={choose}
              placeholder={t("rates.choose_file")}
            />
            <SegmentedControl
              aria-label={t("rates.mode")}
              data={(["full", "delta"] as const).map((value) => ({ value, label: t(`rates.mode_${value}`) }))}
              value={terms.mode}
              onChange={(value) => change("mode", value as Terms["mode"])}
            />
            <MomentInput
              label={t("rates.effective")}
              value={terms.effective}
              onChange={(effective) => change("effective", effective)}
              onBlur={(event) => {
                // a part of a date changes no value, so what was compared without it would still stand there
                if (event.currentTarget.validity.badInput) trial.reset();
              }}
            />
            <TextInput
              label={t("column.memo")}
              value={terms.memo}
              onChange={(event) => change("memo", event.currentTarget.value)}
            />
          </Group>
          {beginning && !isFirst && (
            <Checkbox
              label={t("rates.by_server")}
              checked={said === null}
              onChange={(event) => say(event.currentTarget.checked ? null : guess)}
            />
          )}
          {beginning && map && <Columns beginning={beginning} map={map} onMap={say} />}
          {chosen && !beginning && <Text className="quiet">{t("rates.workbook")}</Text>}
          <Group>
            <OrderButton
              ref={comparing}
              size="xs"
              type="submit"
              disabled={!chosen || versions.isLoading}
              isAtWork={trial.isPending}
            >
              {t("rates.try")}
            </OrderButton>
            <JobUnderWay order={trial} progress={progress} button={comparing} />
          </Group>
        </Stack>
      </form>
      <ProblemText error={trial.error} />
      {isOfSheet(trial.error) && guess && said === guess && <Text>{t("rates.other_header")}</Text>}
      {chosen && !beginning && (isOfSheet(trial.error) || Boolean(trial.data?.report.invalid_rows)) && (
        <Text>{t("rates.workbook_refused")}</Text>
      )}
      <ProblemText error={moved} />
      {unsaved.question}
      {trial.data && (
        <>
          <Difference trial={trial.data} currency={currency} />
          {!trial.data.report.invalid_rows && (
            <Group>
              <Checkbox
                label={t("rates.force")}
                checked={force}
                error={
                  closesMany &&
                  !force && (
                    <span role="alert" className="bad">
                      {t("rates.many_closed")}
                    </span>
                  )
                }
                onChange={(event) => setForce(event.currentTarget.checked)}
              />
              <Change
                act={t("rates.put")}
                title={t("rates.put_title", { group, count: changedIn(trial.data.report) })}
                lead={[
                  t(terms.effective ? "rates.put_lead_at" : "rates.put_lead", { at: atOf(trial.data.report) }),
                  earlyText(t, trial.data.report),
                ]
                  .filter(Boolean)
                  .join(" ")}
                isSaidByPage={(failure) => isStale(failure) || isManyClosed(failure)}
                run={async (key, _, note) => {
                  const said = await run(trial.data, key, note).catch((failure: Error) => {
                    if (isStale(failure)) {
                      compare();
                      setMoved(failure);
                    }
                    setClosesMany(isManyClosed(failure));
                    throw failure;
                  });
                  setDone(said);
                  setMoved(null);
                  trial.reset();
                  setChosen(null);
                  setTerms({ ...terms, ...ENTERED_ANEW });
                  return said;
                }}
              />
            </Group>
          )}
        </>
      )}
    </Stack>
  );
}

/** The moment from which a sheet holds, with its zone: it may be far away. */
const atOf = (report: Row) => `${moment(String(report.effective), new Date())} ${zoneName()}`;

/** Prefixes whose rates become others. */
function changedIn(report: Row): number {
  const counts = report.changes as Record<string, number>;
  return CHANGES.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
}

const isOfSheet = (failure: Error | null) => failure instanceof Problem && failure.code === "sheet";

function isManyClosed(failure: Error): boolean {
  return failure instanceof Problem && failure.code === "many_closed";
}

/** Prefixes of a report, the first of them, with how many more there are. */
function named(t: TFunction, prefixes: readonly unknown[], count: number): string {
  return [...prefixes.slice(0, SHOWN), ...(count > SHOWN ? [t("form.more", { count: count - SHOWN })] : [])].join(", ");
}

/** Words on the rates that begin before the sheet says, because the deck has them already; empty where none do. */
function earlyText(t: TFunction, report: Row): string {
  const count = Number(report.early ?? 0);
  const prefixes = ((report.early_examples ?? []) as Row[]).map(
    ({ prefix, begins }) => `${prefix} (${moment(String(begins), new Date())})`,
  );
  return count > 0 ? t("rates.early", { count, prefixes: named(t, prefixes, count) }) : "";
}

function isStale(failure: Error): failure is Problem {
  return failure instanceof Problem && failure.status === HTTP_STALE;
}

function Columns({
  beginning,
  map,
  onMap,
}: {
  beginning: Uint8Array<ArrayBuffer>;
  map: SheetMap;
  onMap: (map: SheetMap) => void;
}) {
  const { t } = useTranslation();
  const text = useMemo(() => textOf(beginning, map.encoding), [beginning, map.encoding]);
  const [header = [], ...lines] = useMemo(() => rowsFrom(text, map.header_line), [text, map.header_line]);
  const { decimal = "." } = useMemo(() => withDecimal(map, beginning), [map, beginning]);
  const names = [...new Set(header.filter(Boolean))];
  const examples = lines.slice(0, SHOWN).filter((fields) => fields.some(Boolean));
  return (
    <>
      <Title order={2} size="h4">
        {t("rates.columns")}
      </Title>
      <Group gap="xs" align="end">
        <TextInput
          label={t("rates.header_line")}
          inputMode="numeric"
          w={110}
          value={String(map.header_line)}
          onChange={(event) => {
            const header_line = Math.max(1, Number(event.currentTarget.value) || 1);
            onMap({ ...map, header_line, columns: guessed(rowsFrom(text, header_line)[0] ?? []) });
          }}
        />
        <Select
          label={t("rates.decimal")}
          w={110}
          data={[".", ","]}
          allowDeselect={false}
          value={decimal}
          onChange={(value) => onMap({ ...map, decimal: value ?? "." })}
        />
        <TextInput
          label={t("rates.date_format")}
          placeholder="%d.%m.%Y"
          w={130}
          value={map.date_format ?? ""}
          onChange={(event) => onMap({ ...map, date_format: event.currentTarget.value })}
        />
        <TextInput
          label={t("bills.encoding")}
          placeholder={encodingOf(beginning)}
          w={130}
          value={map.encoding ?? ""}
          onChange={(event) => {
            const encoding = event.currentTarget.value;
            const header = rowsFrom(textOf(beginning, encoding), map.header_line)[0] ?? [];
            onMap({ ...map, encoding, columns: fitting(map.columns, header) });
          }}
        />
        {Object.keys(COLUMNS).map((ours) => (
          <Select
            key={ours}
            label={t(`column.${ours}`)}
            w={150}
            data={names}
            clearable
            clearButtonProps={{ "aria-label": t("act.clear") }}
            value={map.columns[ours] ?? null}
            onChange={(theirs) => onMap({ ...map, columns: { ...map.columns, [ours]: theirs ?? "" } })}
          />
        ))}
      </Group>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <section className="table-frame" aria-label={t("rates.preview")} tabIndex={0}>
        <table>
          <thead>
            <tr>
              {header.map((name, index) => (
                <th key={index} scope="col">
                  {name || "–"}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {examples.map((fields, line) => (
              <tr key={line}>
                {header.map((_, index) => (
                  <td key={index}>{fields[index]}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

/** The columns as they were read, and warnings of the switch that the counts do not show. */
function Reading({ report }: { report: Row }) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const of = (name: string) => Number(report[name] ?? 0);
  const unread = (report.unread_columns ?? []) as string[];
  const prefixes = (name: string) => ((report[name] ?? []) as Row[]).map((each) => each.prefix);
  const warnings = [
    ...((report.assumed ?? []) as Row[]).map(({ line, column, value, meaning }) => {
      const cell = value === null ? "" : `${column} "${value}"`.trim();
      const place = [line ? t("rates.line", { line }) : "", cell].filter(Boolean).join(", ");
      return t("rates.assumed", { what: [place, inLanguage(String(meaning))].filter(Boolean).join(": ") });
    }),
    unread.length > 0 && t("rates.unread", { columns: unread.join(", ") }),
    of("dialled_prefixes") > 0 &&
      t("rates.dialled", {
        count: of("dialled_prefixes"),
        prefixes: named(t, report.dialled_examples as string[], of("dialled_prefixes")),
      }),
    of("free_rates") > 0 &&
      t("rates.free", {
        count: of("free_rates"),
        prefixes: named(t, report.free_examples as string[], of("free_rates")),
      }),
    of("fallen") > 0 && t("rates.fallen", { count: of("fallen") }),
    of("unrated") > 0 && t("rates.unrated", { count: of("unrated") }),
    of("short_notice") > 0 &&
      t("rates.short_notice", {
        count: of("short_notice"),
        days: report.notice_days,
        prefixes: named(t, prefixes("short_examples"), of("short_notice")),
      }),
    earlyText(t, report),
  ].filter((each): each is string => Boolean(each));
  return (
    <>
      {report.layout != null && <Text>{t("rates.as_last_time", { layout: report.layout })}</Text>}
      {warnings.length > 0 && (
        <Alert variant="outline" color="yellow" p={6} role="note" title={t("rates.warnings")}>
          <ul className="words">
            {warnings.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </Alert>
      )}
    </>
  );
}

/** The rate that was to begin later, and the moment. */
function shownPlan({ planned_price, planned_begins, currency }: Row) {
  if (!planned_begins) return null;
  return (
    <>
      <Money value={planned_price} currency={currency} /> <Moment value={planned_begins} />
    </>
  );
}

/** What the sheet would change: counts, money of last week's calls, and every prefix; not drawn again with each key. */
const Difference = memo(function Difference({ trial, currency }: { trial: Trial; currency: unknown }) {
  const { t } = useTranslation();
  const word = useStateWord();
  const [kind, setKind] = useState<string>("all");
  const { job, report, rows } = trial;
  const counts = report.changes as Record<string, number>;
  const margin = report.margin as Row | undefined;
  const moved = (before: unknown, after: unknown) =>
    `${amount(String(before))} → ${amount(String(after))} ${currency ?? ""}`.trim();
  const example = report.example as Row | null;
  const invalid = (report.invalid ?? []) as Row[];
  return (
    <>
      {invalid.length > 0 && (
        <Table
          label={t("rates.invalid", { count: Number(report.invalid_rows) })}
          columns={[
            { name: "line", kind: "number" },
            { name: "column" },
            { name: "value" },
            { name: "expected", kind: "sentence" },
          ]}
          rows={invalid}
          rowKey={(row, index) => `${row.line} ${index}`}
        />
      )}
      <Reading report={report} />
      {example && (
        <Text>
          {t("rates.example", {
            prefix: example.prefix,
            rate: example.billing_rate,
            price_per: word(String(report.price_per)),
            minute: example.minute,
          })}
        </Text>
      )}
      {margin && (
        <Facts
          facts={[
            [t("rates.margin_calls"), t("rates.margin_days", { days: margin.days, calls: margin.calls })],
            [t("rates.margin_refused"), String(margin.refused)],
            [t("column.fee"), moved(margin.fee_before, margin.fee_after)],
            [t("column.cost"), moved(margin.cost_before, margin.cost_after)],
            [t("rates.margin_change"), <Money key="change" value={margin.change} currency={currency} />],
          ]}
        />
      )}
      <Group gap="xs">
        <SegmentedControl
          aria-label={t("rates.difference")}
          data={["all", ...CHANGES].map((value) => ({
            value,
            label:
              value === "all"
                ? `${t("rates.change_all")} ${changedIn(report)}`
                : `${t(`rates.change_${value}`)} ${counts[value] ?? 0}`,
          }))}
          value={kind}
          onChange={setKind}
        />
        <span className="quiet">{t("rates.unchanged", { count: counts.unchanged ?? 0 })}</span>
        {rows.length > 0 && (
          <Download path={`/jobs/${job}/result`} accept="text/csv" name="difference.csv">
            {t("cdrs.csv")}
          </Download>
        )}
      </Group>
      {CHANGES.some((each) => Number(counts[each] ?? 0) > KEPT_MAX) && (
        <Text role="note">{t("rates.kept", { most: KEPT_MAX })}</Text>
      )}
      <Table
        label={t("rates.difference")}
        columns={[
          { name: "change", show: (row) => t(`rates.change_${row.change}`) },
          { name: "prefix" },
          { name: "area_after", show: (row) => String(row.area_after || row.area_before || "") },
          { name: "price_before", kind: "money" },
          { name: "price_after", kind: "money" },
          { name: "interval_before" },
          { name: "interval_after" },
          { name: "begins", kind: "moment" },
          { name: "price_then", kind: "money" },
          ...(rows.some((row) => row.planned_begins) ? [{ name: "planned", show: shownPlan }] : []),
        ]}
        rows={kind === "all" ? rows : rows.filter((row) => row.change === kind)}
        rowKey={(row, index) => `${row.prefix} ${index}`}
      />
    </>
  );
});
