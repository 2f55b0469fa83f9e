/** Vendors' bills: a file compared with the calls that were sent, the differences with money, the dispute. */

import { Alert, Button, Checkbox, Group, Select, Stack, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { client, content, fileContent, type Row, type Schemas, unlessOther } from "../api/client";
import { resultOf } from "../api/jobs";
import { amount, endOfDay, enteredMoment, isId } from "../format";
import { keep, recall } from "../kept";
import { Change } from "../parts/change";
import { Download } from "../parts/download";
import { FileField } from "../parts/filefield";
import { LAST_DAY } from "../parts/minute";
import { OrderButton } from "../parts/orderbutton";
import { Facts, NotFound, Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { LastDone, useSay } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { Moment, Money } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { type BillMap, beginningOf, begun, billMapText, isCompressed, isWorkbook, lookOf, NEEDED } from "./bill";
import { BillColumns } from "./billcolumns";
import { type Disputed, typedOver } from "./dispute";

type Sheet = Schemas["ReconciliationSheet"];
type DisputeState = Disputed["state"];
/** States that a new dispute may have. */
const STATES: readonly DisputeState[] = ["open", "sent", "accepted", "rejected", "settled"];
/** States that say what a vendor has answered. */
const ANSWERS: ReadonlySet<DisputeState> = new Set(["accepted", "rejected"]);
const EMPTY = new Uint8Array();
/** The zone of a bill where its map names none. */
const BILL_ZONE = "UTC";

export function BillsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/bills" });
  const mayImport = useMay("POST /reconciliations/{account}/imports");
  const found = useRows("/reconciliations", search);
  return (
    <Page title={t("nav.bills")} needs="GET /reconciliations">
      <ProblemText error={found.error} again={found.again} />
      {mayImport && <Import />}
      <RowCount of={found} />
      <Table
        label={t("nav.bills")}
        columns={[
          {
            name: "file",
            show: (row) => (
              <Link to="/bills/$id" params={{ id: String(row.id) }}>
                {String(row.file || row.id)}
              </Link>
            ),
          },
          { name: "account", kind: "account" },
          { name: "since", show: (row) => <Moment value={row.since} zone={zoneOf(row)} hasDay /> },
          { name: "until", show: (row) => <Moment value={row.until} zone={zoneOf(row)} hasDay /> },
          { name: "ours", kind: "money" },
          { name: "theirs", kind: "money" },
          { name: "difference", kind: "money" },
          { name: "disputable", kind: "money" },
          { name: "dispute", show: ({ dispute }) => (dispute ? t(`bills.state_${(dispute as Row).state}`) : "–") },
          { name: "made_at", kind: "moment" },
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </Page>
  );
}

const zoneOf = (row: Row) => (row.comparison as Sheet["comparison"] | undefined)?.zone;

const kept = (account: string) => `vosd.bill.${account}`;

function lastMap(account: string): BillMap | null {
  try {
    return JSON.parse(recall(kept(account)) ?? "null") as BillMap | null;
  } catch {
    return null;
  }
}

function Import() {
  const { t } = useTranslation();
  const say = useSay();
  const go = useNavigate();
  const [account, setAccount] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const [bytes, setBytes] = useState<Uint8Array<ArrayBuffer>>(EMPTY);
  const [unreadable, setUnreadable] = useState<Error | null>(null);
  const [entered, setMap] = useState<BillMap | null>(null);
  const map = useMemo(() => entered ?? begun(lastMap(account), bytes), [entered, account, bytes]);
  const look = useMemo(() => lookOf(bytes, map), [bytes, map]);
  const [span, setSpan] = useState({ since: "", until: "" });
  const unsaved = useUnsaved(file !== null);
  const choose = async (chosen: File | null) => {
    setFile(chosen);
    setMap(null);
    setUnreadable(null);
    compare.reset();
    try {
      const beginning = chosen ? await beginningOf(chosen) : EMPTY;
      setBytes(isWorkbook(beginning) ? EMPTY : beginning);
      if (isWorkbook(beginning)) setUnreadable(new Error(t("bills.workbook", { file: chosen?.name })));
    } catch {
      setBytes(EMPTY);
      setUnreadable(new Error(t("bills.unreadable", { file: chosen?.name })));
    }
  };
  const compare = useMutation({
    mutationFn: async (again: boolean) => {
      const job = await content(
        client.POST("/reconciliations/{account}/imports", {
          params: {
            path: { account },
            query: {
              file: file?.name,
              map: billMapText(map, look),
              // days are those of the bill, whatever the clock of the person who compares it
              since: enteredMoment(span.since, map.zone || BILL_ZONE),
              until: endOfDay(span.until, map.zone || BILL_ZONE),
              again: again || undefined,
            },
          },
          headers: { "Content-Type": isCompressed(file?.name ?? "") ? "application/gzip" : "text/csv" },
          body: (file && (await fileContent(file))) as never,
          bodySerializer: (body: unknown) => body as Blob,
        }),
      );
      keep(kept(account), JSON.stringify(map));
      return resultOf(job);
    },
    onSuccess: (made) => {
      // nothing was compared: the answer is the comparison of before, perhaps by another map or of another period
      if (made.repeated) return;
      unsaved.saved();
      say(t("bills.compared", { file: file?.name, account }));
      void go({ to: "/bills/$id", params: { id: String(made.id) } });
    },
  });
  const earlier = compare.data?.repeated ? compare.data : undefined;
  const isWhole = account && bytes.length > 0 && [...NEEDED].every((field) => map.columns[field]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    compare.mutate(false);
  };
  return (
    // the browser refuses a form with a date that is entered in part: such a date has no value
    <Stack gap="xs" component="form" onSubmit={submit}>
      <Group align="end" gap="xs">
        <TextInput
          label={t("bills.vendor")}
          value={account}
          onChange={(event) => {
            setAccount(event.currentTarget.value);
            compare.reset();
          }}
        />
        <FileField
          label={t("bills.file")}
          placeholder="CSV"
          accept=".csv,.gz,text/csv,application/gzip"
          value={file}
          onChange={choose}
        />
        {(["since", "until"] as const).map((field) => (
          <TextInput
            key={field}
            type="date"
            max={LAST_DAY}
            label={t(`cdrs.${field}`)}
            value={span[field]}
            onChange={(event) => setSpan({ ...span, [field]: event.currentTarget.value })}
          />
        ))}
        <OrderButton type="submit" size="sm" disabled={!isWhole} isAtWork={compare.isPending}>
          {t("bills.compare")}
        </OrderButton>
      </Group>
      {bytes.length > 0 && <BillColumns look={look} map={map} onMap={setMap} />}
      <ProblemText error={compare.error ?? unreadable} />
      {earlier && (
        <Alert
          variant="outline"
          color="yellow"
          role="status"
          title={t("bills.repeated", { file: file?.name, account })}
        >
          <p>{t("bills.repeated_do")}</p>
          <Group gap="xs">
            <Link to="/bills/$id" params={{ id: String(earlier.id) }} target="_blank">
              {t("bills.earlier")}
            </Link>
            <Button variant="default" size="xs" onClick={() => compare.mutate(true)}>
              {t("bills.again")}
            </Button>
          </Group>
        </Alert>
      )}
      {unsaved.question}
    </Stack>
  );
}

const comparisonOf = (id: number) => content(client.GET("/reconciliations/{id}", { params: { path: { id } } }));

export function BillScreen() {
  const { id } = useParams({ from: "/bills/$id" });
  return isId(id) ? <Bill id={id} /> : <NotFound />;
}

function Bill({ id }: { id: string }) {
  const { t } = useTranslation();
  const mayDispute = useMay("PUT /reconciliations/{id}/dispute");
  const found = useQuery({
    queryKey: ["bill", id],
    queryFn: () => comparisonOf(Number(id)),
  });
  const row = found.data;
  return (
    <Page
      title={row ? `${row.account} ${row.file}` : id}
      needs="GET /reconciliations/{id}"
      actions={
        row && (
          <Group gap="xs">
            <Download path={`/reconciliations/${id}/calls`} accept="text/csv" name={`dispute-${id}.csv`}>
              {t("bills.calls")}
            </Download>
            {row.dispute && (
              <Download path={`/reconciliations/${id}/letter`} accept="text/plain" name={`dispute-${id}.md`}>
                {t("bills.letter")}
              </Download>
            )}
          </Group>
        )
      }
    >
      <LastDone />
      <Reading of={found} />
      {row && <Compared row={row} />}
      {row && mayDispute && <Dispute row={row} />}
    </Page>
  );
}

function Compared({ row }: { row: Sheet }) {
  const { t } = useTranslation();
  const money = (value: string) => <Money value={value} currency={row.currency} />;
  const { comparison } = row;
  return (
    <>
      <Facts
        facts={[
          [t("column.since"), <Moment key="since" value={row.since} zone={comparison.zone} hasDay />],
          [t("column.until"), <Moment key="until" value={row.until} zone={comparison.zone} hasDay />],
          [t("column.ours"), money(row.ours)],
          [t("column.theirs"), money(row.theirs)],
          [t("column.difference"), money(row.difference)],
          [t("column.disputable"), money(row.disputable)],
          [
            t("bills.rows"),
            t("bills.rows_of", { rows: comparison.rows, bad: comparison.bad_rows, attempts: comparison.attempts }),
          ],
          ...(comparison.unbooked
            ? [[t("bills.unbooked"), t("bills.unbooked_of", { calls: comparison.unbooked })] as const]
            : []),
          ...(row.corrected
            ? [[t("bills.corrected"), t("bills.corrected_of", { calls: row.corrected })] as const]
            : []),
          ...(comparison.time_shift
            ? [[t("bills.shift"), t("bills.shift_by", { seconds: comparison.time_shift })] as const]
            : []),
          ...(comparison.lacks_seconds ? [[t("bills.shift"), t("bills.lacks_seconds")] as const] : []),
        ]}
      />
      <Title order={2} size="h4">
        {t("bills.classes")}
      </Title>
      <Table
        label={t("bills.classes")}
        columns={[
          { name: "result", show: (each) => t(`bills.result_${each.result}`) },
          { name: "explanation", kind: "sentence" },
          { name: "calls", kind: "number" },
          { name: "ours", kind: "money" },
          { name: "theirs", kind: "money" },
          { name: "difference", kind: "money" },
        ]}
        rows={comparison.classes.map((each) => ({ ...each, currency: row.currency }))}
        rowKey={(each, index) => `${each.result} ${index}`}
      />
      {comparison.first_bad_rows.length > 0 && (
        <Table
          label={t("bills.bad_rows")}
          columns={[
            { name: "line", kind: "number" },
            { name: "reason", kind: "sentence" },
          ]}
          rows={comparison.first_bad_rows as unknown as Row[]}
          rowKey={(each) => String(each.line)}
        />
      )}
    </>
  );
}

/** The parts of a comparison that a dispute is entered by: it may be made again, and a colleague may change the dispute. */
const disputedOf = ({ made_at, dispute }: Sheet) => [made_at, dispute];

function Dispute({ row }: { row: Sheet }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { dispute } = row;
  const now: Disputed = {
    state: dispute?.state ?? "open",
    amount: dispute?.amount ?? row.disputable,
    reference: dispute?.reference ?? "",
    memo: dispute?.memo ?? "",
  };
  const states = dispute ? [dispute.state, ...dispute.may_become] : STATES;
  const [typed, setTyped] = useState<Partial<Disputed>>({});
  /** The dispute that a person has begun to type over. */
  const [begun, setBegun] = useState<string | undefined>();
  const entered = typedOver(now, typed, states);
  const isTyped = JSON.stringify(entered) !== JSON.stringify(now);
  const unsaved = useUnsaved(isTyped);
  const [books, setBooks] = useState(false);
  const maySeePayments = useMay("GET /payments");
  const isOver = dispute?.state === "settled";
  const settles = entered.state === "settled" && !isOver;
  const asks = isOver ? "noted" : settles ? "settled" : ANSWERS.has(entered.state) ? "answered" : "asked";
  const set = (field: keyof Disputed, value: string) => {
    if (!isTyped) setBegun(dispute?.changed_at);
    setTyped({ ...typed, [field]: value });
  };
  return (
    <Stack gap="xs">
      {unsaved.question}
      <Title order={2} size="h4">
        {t("bills.dispute")}
      </Title>
      {dispute && (
        <span>
          {t(`bills.state_${dispute.state}`)} {amount(dispute.amount)} {row.currency} {dispute.reference} {dispute.memo}{" "}
          <span className="quiet">{dispute.operator}</span> <Moment value={dispute.changed_at} />
        </span>
      )}
      {dispute && isOver && (
        <span>
          {dispute.booked === null
            ? t("bills.over_unbooked")
            : t("bills.over", { booked: amount(dispute.booked ?? ""), currency: row.currency ?? "" })}{" "}
          {maySeePayments && (
            <Link to="/payments" search={{ account: row.account }}>
              {t("bills.payments", { account: row.account })}
            </Link>
          )}
        </span>
      )}
      {isTyped && dispute && dispute.changed_at !== begun && (
        <Alert variant="outline" role="status" p={6}>
          {t("bills.changed_meanwhile", { who: dispute.operator })}
        </Alert>
      )}
      <Group align="end" gap="xs">
        {!isOver && (
          <>
            <Select
              label={t("column.state")}
              data={states.map((value) => ({ value, label: t(`bills.state_${value}`) }))}
              value={entered.state}
              onChange={(value) => value && set("state", value)}
            />
            <TextInput
              label={t("column.amount")}
              inputMode="decimal"
              value={entered.amount}
              onChange={(event) => set("amount", event.currentTarget.value)}
            />
          </>
        )}
        {(isOver ? (["memo"] as const) : (["reference", "memo"] as const)).map((field) => (
          <TextInput
            key={field}
            label={t(`column.${field}`)}
            value={entered[field]}
            onChange={(event) => set(field, event.currentTarget.value)}
          />
        ))}
        {settles && (
          <Checkbox
            label={t("bills.books")}
            checked={books}
            onChange={(event) => setBooks(event.currentTarget.checked)}
            pb={8}
          />
        )}
        <Change
          size="sm"
          saysAbove
          act={t(dispute ? "bills.change_dispute" : "bills.open_dispute")}
          title={t(`bills.title_${asks}`, {
            amount: amount(entered.amount),
            currency: row.currency ?? "",
            account: row.account,
            state: t(`bills.state_${entered.state}`),
          })}
          lead={t(`bills.lead_${isOver ? "over" : settles && !books ? "settled_unbooked" : entered.state}`)}
          run={async (key, again) => {
            const made = await unlessOther(
              disputedOf(row),
              async () => disputedOf(await comparisonOf(row.id)),
              () =>
                content(
                  client.PUT("/reconciliations/{id}/dispute", {
                    params: { path: { id: row.id } },
                    headers: { "Idempotency-Key": key },
                    body: {
                      state: entered.state,
                      amount: entered.amount,
                      reference: entered.reference,
                      memo: entered.memo,
                      book: settles ? books : undefined,
                    },
                  }),
                ),
              again,
            );
            queries.setQueryData(["bill", String(row.id)], made);
            setTyped({});
            return {
              said: t("bills.disputed", {
                state: t(`bills.state_${made.dispute?.state}`),
                amount: `${amount(made.dispute?.amount ?? "")} ${row.currency ?? ""}`.trim(),
              }),
            };
          }}
        />
      </Group>
    </Stack>
  );
}
