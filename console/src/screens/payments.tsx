/** Payments: those that wait for a second person, a transfer, a file of payments, and what was booked. */

import { Alert, Button, Group, Select, Stack, Tabs, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type ChangeEvent, type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import { readAgain } from "../api/again";
import { client, content, fileContent, Problem, queryText, type Row, type Schemas, Unreachable } from "../api/client";
import { isOfAnyOrder, mayBeCarriedOut } from "../api/orders";
import { amount, sumOf } from "../format";
import { AmountInput } from "../parts/amountinput";
import { namesOf, sum, transfer, useBooked, useBookingTitle } from "../parts/bookings";
import { Change, DoneText } from "../parts/change";
import { Confirm } from "../parts/confirm";
import { Download, WORKBOOK } from "../parts/download";
import { FileField } from "../parts/filefield";
import { DaySpan } from "../parts/minute";
import { NarrowInput } from "../parts/narrow";
import { Note } from "../parts/note";
import { OrderButton } from "../parts/orderbutton";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { TakeBack, useWayBack } from "../parts/takeback";
import { LastDone } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { useStateWord } from "../parts/values";
import { useMay, useSession } from "../session";
import { beginServerText, ServerText, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { useBalance } from "./money";

const HTTP_UNAUTHORIZED = 401;
const NO_PAYMENTS: Schemas["PaymentsOfFile"]["payments"] = [];
const KINDS = ["payment", "adjustment", "zero", "refund", "transfer"];

export function PaymentsScreen() {
  const { t } = useTranslation();
  const { tab: wanted } = useSearch({ from: "/payments" });
  const go = useNavigate({ from: "/payments" });
  const may = {
    waiting: useMay("GET /waiting-payments"),
    transfer: useMay("POST /transfers"),
    file: useMay("POST /payment-files"),
  };
  const tabs = [
    "booked",
    ...(may.waiting ? ["waiting"] : []),
    ...(may.transfer ? ["transfer"] : []),
    ...(may.file ? ["file"] : []),
  ];
  return (
    <Page title={t("nav.payments")} needs="GET /payments">
      <LastDone />
      <Tabs
        value={tabs.includes(wanted ?? "") ? wanted : tabs[0]}
        onChange={(tab) => go({ search: (before) => ({ ...before, tab: tab ?? undefined }) })}
        keepMounted={false}
      >
        <Tabs.List>
          {tabs.map((tab) => (
            <Tabs.Tab key={tab} value={tab}>
              {t(`payments.tab_${tab}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="booked" pt="sm">
          <BookedPayments />
        </Tabs.Panel>
        <Tabs.Panel value="waiting" pt="sm">
          <Waiting />
        </Tabs.Panel>
        {/* what was entered stays while another tab is looked at */}
        {may.transfer && (
          <Tabs.Panel value="transfer" pt="sm" keepMounted>
            <Transfer />
          </Tabs.Panel>
        )}
        {may.file && (
          <Tabs.Panel value="file" pt="sm" keepMounted>
            <FromFile />
          </Tabs.Panel>
        )}
      </Tabs>
    </Page>
  );
}

function BookedPayments() {
  const { t } = useTranslation();
  const word = useStateWord();
  const { account: own } = useSession();
  const { account = own, kind, operator, since, until, zone } = useSearch({ from: "/payments" });
  const go = useNavigate({ from: "/payments" });
  const may = useMay("POST /payments/{id}/undo");
  const query = { account: account ?? undefined, kinds: kind, operator, since, until, newest_first: true };
  const found = useRows("/payments", query);
  const path = `/payments?${queryText(query)}`;
  const set = (field: string, value: string | null | undefined) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  return (
    <Stack gap="sm">
      <Group align="end" gap="xs">
        <NarrowInput label={t("column.account")} value={account ?? ""} onEnter={(text) => set("account", text)} />
        <DaySpan
          days={{ since, until, zone }}
          onEnter={(days) => void go({ search: (before) => ({ ...before, ...days }) })}
        />
        <Select
          label={t("column.kind")}
          data={KINDS.map((value) => ({ value, label: word(value) }))}
          clearable
          clearButtonProps={{ "aria-label": t("act.clear") }}
          value={kind ?? null}
          onChange={(value) => set("kind", value)}
        />
        {!own && (
          <NarrowInput label={t("column.operator")} value={operator ?? ""} onEnter={(text) => set("operator", text)} />
        )}
        <Download path={path} accept="text/csv" name="payments.csv">
          {t("cdrs.csv")}
        </Download>
        <Download path={path} accept={WORKBOOK} name="payments.xlsx">
          {t("reports.xlsx")}
        </Download>
        <RowCount of={found} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("payments.tab_booked")}
        columns={[
          { name: "created_at", kind: "moment" },
          { name: "account", kind: "account" },
          { name: "account_name" },
          { name: "kind", kind: "state" },
          { name: "amount", kind: "money" },
          { name: "balance_before", kind: "money" },
          { name: "balance_after", kind: "money" },
          { name: "reference" },
          { name: "memo", kind: "words" },
          { name: "operator", kind: own === null ? undefined : "role" }, // a word for those who see no names
          ...(may ? [{ name: "acts", show: (row: Row) => <TakeBack row={row} /> }] : []),
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </Stack>
  );
}

function Waiting() {
  const { t } = useTranslation();
  const say = useBooked();
  const may = {
    confirm: useMay("POST /waiting-payments/{id}/confirmation"),
    refuse: useMay("POST /waiting-payments/{id}/refusal"),
  };
  const titleOf = useBookingTitle();
  const found = useRows("/waiting-payments", {});
  const acts = (row: Row) => {
    const waiting = row as Schemas["WaitingSheet"];
    const path = { id: waiting.id };
    const named = { ...namesOf(waiting), who: waiting.asked_by };
    const kind = waiting.target ? "_transfer" : "";
    return (
      <Group gap={4} wrap="nowrap">
        {may.confirm && (
          <Change
            size="compact-xs"
            saysAbove
            act={t("payments.confirm")}
            title={titleOf(waiting)}
            lead={t("payments.confirm_lead", named)}
            run={async (key) => ({
              said: say(
                await content(
                  client.POST("/waiting-payments/{id}/confirmation", {
                    params: { path },
                    headers: { "Idempotency-Key": key },
                  }),
                ),
              ),
            })}
          />
        )}
        {may.refuse && (
          <Change
            size="compact-xs"
            saysAbove
            act={t("payments.refuse")}
            title={t(`payments.refuse${kind}_title`, named)}
            lead={t("payments.refuse_lead")}
            run={async (key) => {
              await content(
                client.POST("/waiting-payments/{id}/refusal", {
                  params: { path },
                  headers: { "Idempotency-Key": key },
                  body: {},
                }),
              );
              return { said: t(`payments.refused${kind}`, named) };
            }}
          />
        )}
      </Group>
    );
  };
  return (
    <>
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("payments.tab_waiting")}
        columns={[
          { name: "asked_at", kind: "moment" },
          { name: "asked_by" },
          { name: "type", kind: "state" },
          { name: "account", kind: "account" },
          { name: "to_account", show: (row) => String(row.target ?? "–") },
          { name: "amount", kind: "money" },
          { name: "currency" },
          { name: "reference" },
          { name: "memo", kind: "words" },
          ...(may.confirm || may.refuse ? [{ name: "acts", show: acts }] : []),
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </>
  );
}

function Transfer() {
  const { t } = useTranslation();
  const say = useBooked();
  // agents pay from their own account alone
  const { account: own } = useSession();
  const none = { source: own ?? "", target: "", amount: "", memo: "" };
  const [entered, setEntered] = useState(none);
  const unsaved = useUnsaved(
    (["source", "target", "amount", "memo"] as const).some((each) => entered[each] !== none[each]),
  );
  const back = useWayBack();
  const field = (name: keyof typeof none) => ({
    label: t(`payments.${name}`),
    value: entered[name],
    onChange: (event: ChangeEvent<HTMLInputElement>) => setEntered({ ...entered, [name]: event.currentTarget.value }),
  });
  return (
    <Group component="form" align="end" gap="xs" onSubmit={(event: FormEvent) => event.preventDefault()}>
      <TextInput {...field("source")} required readOnly={own !== null} />
      <TextInput {...field("target")} required />
      <AmountInput {...field("amount")} required />
      <TextInput {...field("memo")} />
      <Change
        size="sm"
        type="submit"
        saysAbove
        act={t("payments.move")}
        title={t("payments.move_title", { ...entered, amount: amount(entered.amount) })}
        lead={<MoveLead source={entered.source} />}
        onDone={() => setEntered(none)}
        run={async (key) => {
          const { source, target, amount: sum, memo } = entered;
          const booked = await transfer(source, target, sum, memo, key);
          return { said: say(booked), undo: back(booked) };
        }}
      />
      {unsaved.question}
    </Group>
  );
}

/** The currency of a transfer is that of the account that pays; a form of names does not know it before it asks. */
function MoveLead({ source }: { source: string }) {
  const { t } = useTranslation();
  const currency = useBalance(source).data?.currency;
  return (
    <>
      {Boolean(currency) && t("payments.move_in", { currency, source })} {t("payments.move_lead")}
    </>
  );
}

/** The sums of a file, one for each currency, and how many payments have none: their accounts are not configured. */
export function sumsOf(payments: readonly { amount: string; currency: string | null }[]): [string[], number] {
  const sums = new Map<string, string>();
  for (const { amount, currency } of payments)
    if (currency) sums.set(currency, sumOf([sums.get(currency) ?? "0", amount]));
  const unknown = payments.filter(({ currency }) => !currency).length;
  return [[...sums].map(([currency, whole]) => sum(whole, currency)), unknown];
}

/** A file of payments: each has a reference, so that a second run of the same file books nothing again. */
function FromFile() {
  const { t, i18n } = useTranslation();
  const inLanguage = useServerText();
  const say = useBooked();
  const queries = useQueryClient();
  const [asks, setAsks] = useState(false);
  const isStopped = useRef(false);
  useEffect(() => {
    return () => {
      isStopped.current = true;
    };
  }, []);
  useEffect(() => beginServerText(i18n.language), [i18n.language]); // an outcome is said once, and kept so
  /** What has become of the payments so far, in their order; it only grows, and is not copied for each of thousands. */
  const outcomes = useRef<string[]>([]);
  const [done, setDone] = useState(0);
  const forget = () => {
    outcomes.current = [];
    setDone(0);
  };
  const reading = useMutation({
    mutationFn: async (file: File) => {
      const text = await (await fileContent(file)).text();
      return content(client.POST("/payment-files", { body: { content: text } }));
    },
  });
  const payments = reading.data?.payments ?? NO_PAYMENTS;
  const rows = useMemo(() => payments.map((each, index) => ({ ...each, index })), [payments]);
  const mistakes = reading.error instanceof Problem ? reading.error.errors : [];
  const [known, unknown] = useMemo(() => sumsOf(payments), [payments]);
  const sums = unknown === 0 ? known : [...known, t("payments.file_unknown", { count: unknown })];
  const unsaved = useUnsaved(payments.length > done, {
    title: t("payments.file_leave"),
    lead: t("payments.file_left", { done, total: payments.length }),
  });
  const book = async () => {
    let booked = 0;
    let last: { line: number; said: string } | undefined;
    forget();
    isStopped.current = false;
    for (const each of payments) {
      if (isStopped.current || last) break;
      let said: string;
      try {
        const answer = await content(
          client.POST("/accounts/{account}/payments", {
            params: { path: { account: each.account } },
            body: { amount: each.amount, reference: each.reference, memo: each.memo ?? undefined } as never,
          }),
        );
        said = say(answer);
        booked += answer.receipts?.some((receipt) => !receipt.repeated) ? 1 : 0;
      } catch (failure) {
        // the rest waits for another log-in; the page stays, for it has payments without an outcome
        if (failure instanceof Problem && failure.status === HTTP_UNAUTHORIZED) break;
        const why = failure instanceof Unreachable ? t("state.unreachable") : inLanguage((failure as Error).message);
        said = mayBeCarriedOut(failure) ? t("payments.file_lost", { why }) : why;
        // the next one would most likely be lost or refused, too
        if (mayBeCarriedOut(failure) || isOfAnyOrder(failure)) last = { line: each.line, said };
      }
      setDone(outcomes.current.push(said));
    }
    const whole = t("payments.file_done", { booked, count: payments.length });
    return { said: last ? t("payments.file_ended", { done: whole, ...last }) : whole };
  };
  const booking = useMutation({ mutationFn: book, onSettled: () => readAgain(queries) });
  return (
    <Stack gap="sm">
      <span className="quiet">{t("payments.file_lead")}</span>
      <Group align="end" gap="xs">
        <FileField
          label={t("payments.file")}
          placeholder="CSV"
          accept=".csv,text/csv"
          disabled={booking.isPending || reading.isPending}
          onChange={(file) => {
            forget();
            booking.reset();
            if (file) reading.mutate(file);
            else reading.reset();
          }}
        />
        {/* one element, which the question gives the focus back to: the Enter that began the booking does not stop it */}
        <OrderButton
          size="sm"
          variant="default"
          disabled={payments.length === 0}
          isAtWork={booking.isPending}
          onClick={() => setAsks(true)}
        >
          {t("payments.file_book", { count: payments.length })}
        </OrderButton>
        {booking.isPending && (
          <>
            <Button size="sm" variant="default" onClick={() => (isStopped.current = true)}>
              {t("payments.file_stop")}
            </Button>
            <span>{t("payments.file_progress", { done, total: payments.length })}</span>
          </>
        )}
        {reading.isPending && <Note why="loading">{t("payments.file_reading")}</Note>}
        {booking.data && <DoneText key={booking.data.said} done={booking.data} />}
      </Group>
      <Confirm
        opened={asks}
        title={t("payments.file_title", { count: payments.length, sums: sums.join(", ") })}
        lead={t("payments.file_confirm")}
        act={t("payments.file_book", { count: payments.length })}
        isAtWork={false}
        error={null}
        onAct={() => {
          setAsks(false);
          booking.mutate();
        }}
        onClose={() => setAsks(false)}
      />
      {unsaved.question}
      {mistakes.length > 0 ? (
        <Alert color="red" variant="outline" role="alert" title={t("payments.file_wrong")} p={6}>
          <ul className="words">
            {mistakes.map((each) => (
              <li key={each.detail}>
                <ServerText text={each.detail} />
              </li>
            ))}
          </ul>
        </Alert>
      ) : (
        <ProblemText error={reading.error} />
      )}
      {payments.length > 0 && (
        <Table
          label={t("payments.file")}
          columns={[
            { name: "line", kind: "number" },
            { name: "account" },
            { name: "amount", kind: "money" },
            { name: "currency" },
            { name: "reference" },
            { name: "memo", kind: "words" },
            {
              name: "outcome",
              kind: "words",
              show: (row) => outcomes.current[Number(row.index)] ?? "",
            },
          ]}
          rows={rows}
          rowKey={(row) => String(row.index)}
        />
      )}
    </Stack>
  );
}
