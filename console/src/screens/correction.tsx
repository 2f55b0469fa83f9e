/** Correct the charges of a call: enter what shall hold, see what would be booked, book it. */

import { Button, Group, Modal, Stack, TextInput, Title } from "@mantine/core";
import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { readAgain } from "../api/again";
import { client, content, pageOf, type Row, type Schemas, unlessChanged, unlessOther } from "../api/client";
import { isPageOld, useOrders } from "../api/orders";
import { amount } from "../format";
import { AmountInput } from "../parts/amountinput";
import { type Done, DoneText } from "../parts/change";
import { OrderButton } from "../parts/orderbutton";
import { Facts } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table as Rows } from "../parts/table";
import { useUnsaved } from "../parts/unsaved";
import { useStateWord } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";

type Corrected = Schemas["CorrectionSheet"];
type Wanted = Schemas["WantedCharge"];
/** A charge as it is entered: all of it stays text, also what is no number yet. */
interface Entered {
  role: Wanted["role"];
  level: number;
  fee: string;
  tax: string;
  billed_seconds: string;
}
const FIELDS = ["fee", "tax", "billed_seconds"] as const;

function correct(call_id: string, charges: Wanted[], memo: string, terms: { dry_run?: boolean; key?: string }) {
  return content(
    client.POST("/cdrs/{call_id}/corrections", {
      params: { path: { call_id }, query: { dry_run: terms.dry_run } },
      headers: terms.key ? { "Idempotency-Key": terms.key } : {},
      body: { charges, memo },
    }),
  );
}

const chargesOf = async (call_id: string): Promise<Row[]> =>
  (await pageOf(`/cdrs/${encodeURIComponent(call_id)}/charges`, {})).items;

/** The charges of a call as they are now, as the page and the dialog read them. */
export const chargesQuery = (call_id: string) =>
  queryOptions({ queryKey: ["charges", call_id], queryFn: () => chargesOf(call_id) });

/** Fees and taxes that were changed, as a correction that takes the change back. */
export function backOf(changes: readonly Corrected[]): Wanted[] {
  return changes.map((each) => ({
    role: each.role as Wanted["role"],
    level: each.level,
    fee: each.fee_before,
    tax: each.tax_before,
    billed_seconds: each.billed_seconds_before,
  }));
}

/** Tell whether no other one of the same charge was made behind any of these. */
export const areLatest = (changes: readonly Corrected[], corrections: readonly Row[]): boolean =>
  changes.every((change) =>
    corrections.every(
      (each) =>
        change.account !== each.account ||
        change.role !== each.role ||
        Date.parse(String(each.corrected_at)) <= Date.parse(change.corrected_at),
    ),
  );

/** The charges as they are entered at first. */
export const enteredOf = (charges: readonly Row[]): Entered[] =>
  charges.map((each) => ({
    role: each.role as Wanted["role"],
    level: Number(each.level ?? 0),
    fee: String(each.fee),
    tax: String(each.tax),
    billed_seconds: String(each.billed_seconds),
  }));

/** The charges that were entered otherwise than they were seen, as the API takes them. */
export function wantedOf(entered: readonly Entered[], seen: readonly Row[]): Wanted[] {
  return entered
    .filter((each, index) => FIELDS.some((field) => each[field] !== String(seen[index]?.[field])))
    .map((each) => ({ ...each, billed_seconds: Number(each.billed_seconds) }));
}

export function Correction({ call_id }: { call_id: string }) {
  const { t } = useTranslation();
  const word = useStateWord();
  const queries = useQueryClient();
  /** The charges that the dialog was opened with: what is entered is compared with them, whatever is read since. */
  const [seen, setSeen] = useState<readonly Row[]>([]);
  const [entered, setEntered] = useState<Entered[] | null>(null);
  const [memo, setMemo] = useState("");
  const orders = useOrders();
  const [done, setDone] = useState<Done | null>(null);
  const saying = (changes: readonly Corrected[]): Done => ({
    said: changes
      .map((each) =>
        t("correction.done", {
          account: each.account,
          before: amount(each.fee_before),
          after: amount(each.fee_after),
          amount: amount(each.amount),
          currency: each.currency ?? "",
        }),
      )
      .join("; "),
  });
  /** Correct the charges unless another person has corrected one since the dialog was opened. */
  const correctSeen = (wanted: Wanted[], terms: { dry_run?: boolean; key?: string }, again?: string) =>
    unlessOther(
      seen,
      () => chargesOf(call_id),
      () => correct(call_id, wanted, memo, terms),
      again,
    );
  const textOf = (wanted: Wanted[]) => JSON.stringify([wanted, memo]);
  const onError = (error: Error) => {
    if (isPageOld(error)) readAgain(queries);
  };
  const trial = useMutation({
    mutationFn: (wanted: Wanted[]) => correctSeen(wanted, { dry_run: true }),
    onError,
  });
  const book = useMutation({
    mutationFn: (wanted: Wanted[]) =>
      orders.carryOut(textOf(wanted), async (key, again) => {
        const { changes } = await correctSeen(wanted, { key }, again);
        const corrections = () => pageOf(`/cdrs/${call_id}/corrections`, {});
        if (again && !areLatest(changes, (await corrections()).items)) return { changes };
        const undo = await unlessChanged(corrections, async () =>
          saying((await correct(call_id, backOf(changes), t("correction.undo_memo", { memo }), {})).changes),
        );
        return { changes, undo };
      }),
    onSuccess: ({ changes, undo }) => {
      const { said } = saying(changes);
      setDone({ said: orders.isRepeat ? t("act.repeated", { said }) : said, undo });
      close();
      readAgain(queries);
    },
    onError,
  });
  const close = () => {
    setEntered(null);
    trial.reset();
    book.reset();
  };
  /** The page may still show the charges of before a change, also of the person's own: they are read again. */
  const opening = useMutation({
    mutationFn: () => queries.fetchQuery({ ...chargesQuery(call_id), staleTime: 0 }),
    onSuccess: (charges) => {
      setSeen(charges);
      setEntered(enteredOf(charges));
      setMemo("");
    },
  });
  const wanted = wantedOf(entered ?? [], seen);
  const set = (index: number, field: (typeof FIELDS)[number], value: string) =>
    setEntered((entered ?? []).map((each, place) => (place === index ? { ...each, [field]: value } : each)));
  const check = (event: FormEvent) => {
    event.preventDefault();
    trial.mutate(wanted);
  };
  const unsaved = useUnsaved(wanted.length > 0 || (entered !== null && memo !== ""));
  const leave = () => book.isPending || unsaved.leave(close);
  const found = trial.data?.changes;
  const tried = trial.variables ?? [];
  return (
    <>
      <Group>
        <OrderButton size="xs" variant="default" isAtWork={opening.isPending} onClick={() => opening.mutate()}>
          {t("correction.act")}
        </OrderButton>
        {done && <DoneText key={done.said} done={done} />}
      </Group>
      <ProblemText error={opening.error} />
      <Modal
        opened={entered !== null}
        onClose={leave}
        size="lg"
        title={t(found ? "correction.confirm" : "correction.title")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        {entered && !found && (
          <form onSubmit={check}>
            <Stack gap="xs">
              {entered.map((each, index) => (
                <fieldset key={`${each.role} ${each.level}`} className="plain">
                  <legend>
                    {word(String(seen[index]?.role))} {String(seen[index]?.account)}{" "}
                    {String(seen[index]?.currency ?? "")}
                  </legend>
                  <Group gap="xs">
                    {(["fee", "tax"] as const).map((field) => (
                      <AmountInput
                        key={field}
                        label={t(`column.${field}`)}
                        data-autofocus={(index === 0 && field === "fee") || undefined}
                        required
                        value={each[field]}
                        onChange={(event) => set(index, field, event.currentTarget.value)}
                      />
                    ))}
                    <TextInput
                      label={t("column.billed_seconds")}
                      required
                      inputMode="numeric"
                      pattern="[0-9]+"
                      value={each.billed_seconds}
                      onChange={(event) => set(index, "billed_seconds", event.currentTarget.value)}
                    />
                  </Group>
                </fieldset>
              ))}
              <TextInput
                label={t("correction.memo")}
                required
                value={memo}
                onChange={(event) => setMemo(event.currentTarget.value)}
              />
              <ProblemText error={trial.error} />
              <OrderButton type="submit" isAtWork={trial.isPending} disabled={wanted.length === 0}>
                {t("correction.check")}
              </OrderButton>
            </Stack>
          </form>
        )}
        {found && (
          <Stack>
            {found.map((each) => (
              <section key={`${each.role} ${each.level}`} aria-label={`${word(each.role)} ${each.account}`}>
                <Title order={3} size="h5">
                  {word(each.role)} {each.account}
                </Title>
                <Facts
                  facts={[
                    [t("column.fee"), becomes(amount(each.fee_before), amount(each.fee_after))],
                    [t("column.tax"), becomes(amount(each.tax_before), amount(each.tax_after))],
                    [
                      t("column.billed_seconds"),
                      becomes(String(each.billed_seconds_before), String(each.billed_seconds_after)),
                    ],
                    [t("column.amount"), `${amount(each.amount)} ${each.currency ?? ""}`],
                  ]}
                />
              </section>
            ))}
            <span>{t("correction.lead")}</span>
            <ProblemText error={book.error} />
            {book.error && orders.mayBeDone(textOf(tried)) && (
              <span>{t("act.lost", { act: t("correction.book") })}</span>
            )}
            <Group justify="flex-end">
              {/* the button that was pressed is gone with its step */}
              <Button variant="default" onClick={leave} autoFocus>
                {t("act.cancel")}
              </Button>
              <OrderButton color="red" isAtWork={book.isPending} onClick={() => book.mutate(tried)}>
                {t("correction.book")}
              </OrderButton>
            </Group>
          </Stack>
        )}
      </Modal>
      {unsaved.question}
    </>
  );
}

const becomes = (before: string, after: string) => (before === after ? before : `${before} → ${after}`);

/** Corrections that were made, in their order. */
export function Corrections({ call_id }: { call_id: string }) {
  const { t } = useTranslation();
  const sees = useMay("GET /cdrs/{call_id}/corrections");
  const found = useQuery({
    queryKey: ["corrections", call_id],
    queryFn: () => pageOf(`/cdrs/${encodeURIComponent(call_id)}/corrections`, {}),
    enabled: sees,
  });
  if (!found.data?.items.length) return <ProblemText error={found.error} again={() => found.refetch()} />;
  return (
    <Rows
      label={t("correction.made")}
      columns={[
        { name: "corrected_at", kind: "moment" },
        { name: "account", kind: "account" },
        { name: "fee_before", kind: "money" },
        { name: "fee_after", kind: "money" },
        { name: "amount", kind: "money" },
        { name: "operator" },
        { name: "memo", kind: "words" },
      ]}
      rows={found.data.items}
      rowKey={(row, index) => `${row.reference} ${index}`}
    />
  );
}
