/** Invoices: made for a period, looked at, issued, paid, mailed, taken back. */

import { Checkbox, Group, Select, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { client, content, keyed, queryText, type Row, type Schemas, unlessOther } from "../api/client";
import { resultOf } from "../api/jobs";
import { amount, isId, less } from "../format";
import { Act } from "../parts/act";
import { useBooked } from "../parts/bookings";
import { Change } from "../parts/change";
import { Download } from "../parts/download";
import { Go } from "../parts/go";
import { NarrowInput } from "../parts/narrow";
import { Facts, NotFound, Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { Moment, Money, State, useStateWord, Value } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { lastMonth } from "../zone";
import { nameOf } from "./money";

const STATES = ["draft", "open", "part_paid", "paid", "overdue", "cancelled"];
/** Outcomes of a run that made an invoice. */
const MADE = new Set(["issued", "draft"]);
type Detail = Schemas["InvoiceDetail"];

export function InvoicesScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/invoices" });
  const go = useNavigate({ from: "/invoices" });
  const mayRun = useMay("POST /invoices/runs");
  const word = useStateWord();
  const found = useRows("/invoices", search);
  const { rows } = found;
  const set = (field: string, value: string | null) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  return (
    <Page
      title={t("nav.invoices")}
      needs="GET /invoices"
      tools={
        <Download path={`/invoices?${queryText(search)}`} accept="text/csv" name="invoices.csv">
          {t("cdrs.csv")}
        </Download>
      }
    >
      <LastDone />
      {mayRun && <Run />}
      <Group align="end" gap="xs">
        {(["account", "period", "number"] as const).map((field) => (
          <NarrowInput
            key={field}
            label={t(`column.${field}`)}
            value={search[field] ?? ""}
            onEnter={(text) => set(field, text)}
          />
        ))}
        <Select
          label={t("column.state")}
          data={STATES.map((value) => ({ value, label: word(value) }))}
          clearable
          clearButtonProps={{ "aria-label": t("act.clear") }}
          value={search.state ?? null}
          onChange={(value) => set("state", value)}
        />
        <RowCount of={found} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("nav.invoices")}
        columns={[
          {
            name: "number",
            show: (row) => (
              <Link to="/invoices/$id" params={{ id: String(row.id) }}>
                {String(row.number ?? t("invoice.draft", { id: row.id }))}
              </Link>
            ),
          },
          { name: "account", kind: "account" },
          ...(rows.some(({ issuer }) => issuer) ? [{ name: "issuer" }] : []),
          { name: "kind", kind: "state" },
          { name: "state", kind: "state" },
          { name: "period" },
          { name: "net", kind: "money" },
          { name: "tax", kind: "money" },
          { name: "gross", kind: "money" },
          { name: "paid", kind: "money" },
          { name: "due_on" },
          { name: "sent_at", kind: "moment" },
        ]}
        rows={rows}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </Page>
  );
}

function Run() {
  const { t } = useTranslation();
  const [period, setPeriod] = useState("");
  const [accounts, setAccounts] = useState("");
  const [draft, setDraft] = useState(true);
  const [anew, setAnew] = useState(false);
  const [unmade, setUnmade] = useState<readonly Row[]>([]);
  const names = accounts.split(/[\s,;]+/).filter(Boolean);
  return (
    <>
      <Group align="end" gap="xs">
        <TextInput
          label={t("invoice.period")}
          placeholder={lastMonth(new Date())}
          value={period}
          onChange={(event) => setPeriod(event.currentTarget.value)}
        />
        <TextInput
          label={t("invoice.accounts")}
          value={accounts}
          onChange={(event) => setAccounts(event.currentTarget.value)}
        />
        <Checkbox
          label={t("invoice.as_drafts")}
          checked={draft}
          onChange={(event) => setDraft(event.currentTarget.checked)}
          pb={8}
        />
        <Checkbox
          label={t("invoice.anew")}
          checked={anew}
          onChange={(event) => setAnew(event.currentTarget.checked)}
          pb={8}
        />
        <Change
          size="sm"
          saysAbove
          act={t("invoice.run")}
          disabled={!period}
          title={t("invoice.run_title", { period, accounts: names.join(", ") || t("invoice.all_accounts") })}
          lead={[t(draft ? "invoice.run_drafts" : "invoice.run_issues"), anew && t("invoice.anew_lead")]
            .filter(Boolean)
            .join(" ")}
          run={async (key, _, note) => {
            setUnmade([]);
            const job = await content(
              client.POST("/invoices/runs", {
                headers: { "Idempotency-Key": key },
                body: { period, accounts: names, draft, anew },
              }),
            );
            const each = (await resultOf(job, note)) as unknown as Row[];
            setAnew(false);
            const others = each.filter((row) => !MADE.has(String(row.outcome)));
            setUnmade(others);
            return { said: t("invoice.made", { made: each.length - others.length, other: others.length, period }) };
          }}
        />
      </Group>
      {unmade.length > 0 && (
        <Table
          label={t("invoice.unmade")}
          columns={[
            { name: "account", kind: "account" },
            { name: "outcome", kind: "state" },
            { name: "number" },
            { name: "detail", kind: "sentence" },
          ]}
          rows={unmade}
          rowKey={(row) => String(row.account)}
        />
      )}
    </>
  );
}

export function InvoiceScreen() {
  const { id } = useParams({ from: "/invoices/$id" });
  return isId(id) ? <Invoice id={Number(id)} /> : <NotFound />;
}

function Invoice({ id }: { id: number }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["invoice", id],
    queryFn: () => content(client.GET("/invoices/{id}", { params: { path: { id } } })),
  });
  const row = found.data;
  return (
    <Page
      title={row ? (row.number ?? t("invoice.draft", { id })) : t("nav.invoices")}
      needs="GET /invoices/{id}"
      actions={row && <Acts row={row} />}
    >
      <LastDone />
      <Reading of={found} />
      {row && <Sheet row={row} />}
    </Page>
  );
}

function Acts({ row }: { row: Detail }) {
  const { t } = useTranslation();
  const say = useBooked();
  const may = {
    issue: useMay("POST /invoices/{id}/issue"),
    cancel: useMay("POST /invoices/{id}/cancel"),
  };
  const isInvoice = row.kind === "invoice";
  const isOpen = isInvoice && !["draft", "paid", "cancelled"].includes(row.state);
  const params = { path: { id: row.id } };
  const money = (value: string) => `${amount(value)} ${row.currency}`;
  const named = {
    number: row.number ?? row.id,
    account: row.account,
    gross: money(row.gross),
    open: money(less(row.gross, row.paid)),
  };
  const now = () => content(client.GET("/invoices/{id}", { params }));
  const paidNow = async () => (await now()).paid;
  return (
    <Group gap="xs">
      <Download path={`/invoices/${row.id}/pdf`} accept="application/pdf" name={`${nameOf(row)}.pdf`}>
        PDF
      </Download>
      <Download path={`/invoices/${row.id}/calls`} accept="text/csv" name={`${nameOf(row)}-calls.csv`}>
        {t("invoice.calls")}
      </Download>
      {may.issue && row.state === "draft" && (
        <Change
          saysAbove
          act={t("invoice.issue")}
          title={t("invoice.issue_title", named)}
          lead={t("invoice.issue_lead")}
          run={async (key, again) => {
            const issue = () => content(client.POST("/invoices/{id}/issue", { params, headers: keyed(key) }));
            // a draft that was made again may have the number of the one before
            const made = await unlessOther(row.document, async () => (await now()).document, issue, again);
            return { said: t("invoice.issued", { number: made.number }) };
          }}
        />
      )}
      {isOpen && (
        <Act<Schemas["Booked"]>
          needs="POST /invoices/{id}/payments"
          act={t("invoice.pay")}
          title={t("invoice.pay_title", named)}
          object={nameOf(row)}
          asks={[
            { name: "amount", label: t("invoice.pay_amount", { currency: row.currency }), kind: "amount" },
            { name: "reference", label: t("invoice.pay_reference") },
          ]}
          question={({ amount: sum }) => ({
            title: sum
              ? t("customer.confirm_payment", { amount: amount(sum), currency: row.currency, account: row.account })
              : t("invoice.pay_whole", named),
            lead: t("customer.confirm_lead"),
          })}
          run={({ amount: sum, reference }, key, again) => {
            const pay = () =>
              content(
                client.POST("/invoices/{id}/payments", {
                  params,
                  headers: keyed(key),
                  body: { amount: sum || undefined, reference: reference || undefined },
                }),
              );
            // the rest is another sum than the question has named, where another payment has come meanwhile
            return sum ? pay() : unlessOther(row.paid, paidNow, pay, again);
          }}
          said={say}
        />
      )}
      {!["draft", "cancelled"].includes(row.state) && (
        <Act
          needs="POST /invoices/{id}/mail"
          act={t("invoice.mail")}
          title={t("invoice.mail_title", named)}
          asks={[{ name: "to", label: t("invoice.mail_to") }]}
          run={({ to = "" }, key) => {
            const addresses = to.split(/[\s,;]+/).filter(Boolean);
            return content(
              client.POST("/invoices/{id}/mail", { params, headers: keyed(key), body: { to: addresses } }),
            );
          }}
          said={() => t("invoice.mailed", named)}
        />
      )}
      {may.cancel && isInvoice && !["draft", "cancelled"].includes(row.state) && (
        <Change
          saysAbove
          isDanger
          act={t("invoice.cancel")}
          title={t("invoice.cancel_title", named)}
          lead={t("invoice.cancel_lead")}
          run={async (key) => {
            const note = await content(client.POST("/invoices/{id}/cancel", { params, headers: keyed(key), body: {} }));
            return { said: t("invoice.cancelled", { number: note.number }) };
          }}
        />
      )}
    </Group>
  );
}

function Sheet({ row }: { row: Detail }) {
  const { t } = useTranslation();
  const { document, credit_note: note } = row;
  const money = (value: string) => <Money value={value} currency={row.currency} />;
  const link = (other: number, number: string) => <Go to={`/invoices/${other}`}>{number}</Go>;
  return (
    <>
      <Facts
        facts={[
          [t("column.state"), <State key="state" value={row.state} />],
          [t("column.account"), <Value key="account" row={{ account: row.account }} name="account" kind="account" />],
          [t("column.issuer"), [document.issuer.name, row.issuer && `(${row.issuer})`].filter(Boolean).join(" ")],
          ...(row.cancels ? [[t("invoice.cancels"), link(row.cancels, document.cancels)] as const] : []),
          ...(note ? [[t("invoice.cancelled_by"), link(note.id, note.number)] as const] : []),
          [t("column.period"), `${document.first_day} – ${document.last_day} (${document.zone})`],
          [t("column.net"), money(row.net)],
          [t("column.tax"), money(row.tax)],
          [t("column.gross"), money(row.gross)],
          [t("column.paid"), money(row.paid)],
          [t("column.due_on"), row.due_on ?? "–"],
          [t("column.sent_at"), <Moment key="sent" value={row.sent_at} />],
          [t("invoice.opening"), money(row.opening)],
          [t("invoice.closing"), money(row.closing)],
        ]}
      />
      <Title order={2} size="h4">
        {t("invoice.lines")}
      </Title>
      <Table
        label={t("invoice.lines")}
        columns={[
          { name: "section", show: (line) => t(`invoice.section_${line.section}`) },
          { name: "area" },
          { name: "prefix" },
          { name: "price", kind: "money" },
          { name: "price_per", kind: "state" },
          { name: "tax_rate", kind: "number" },
          { name: "calls", kind: "number" },
          { name: "billed_seconds", kind: "number", show: (line) => String(line.seconds ?? "–") },
          { name: "net", kind: "money" },
        ]}
        rows={document.lines.map((line) => ({ ...shownLine(line), currency: row.currency }))}
        rowKey={(_line, index) => String(index)}
      />
      {document.movements.length > 0 && (
        <Table
          label={t("invoice.movements")}
          columns={[
            { name: "date" },
            { name: "kind", kind: "state" },
            { name: "reference" },
            { name: "memo", kind: "words" },
            { name: "amount", kind: "money" },
          ]}
          rows={document.movements.map((each) => ({ ...each, currency: row.currency }))}
          rowKey={(_line, index) => String(index)}
        />
      )}
    </>
  );
}

/** A line as it is printed, with what its price is for: a minimum and corrections are no calls, and the prefix of a
 * minimum is its month.
 */
export function shownLine({ per, ...rest }: Row): Row {
  const line: Row = { ...rest, price_per: per };
  if (line.section === "minimum") line.prefix = String(line.prefix).replace("minimum/", "");
  return line.section === "minimum" || line.section === "corrections" ? { ...line, calls: null, seconds: null } : line;
}
