/** Statements of a month, and its close: what is missing is said before. */

import { Checkbox, Group, Stack, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { ChangedSince, client, content, listText, queryText, type Row } from "../api/client";
import { resultOf } from "../api/jobs";
import { amount, moment } from "../format";
import { Change } from "../parts/change";
import { Download } from "../parts/download";
import { NarrowInput } from "../parts/narrow";
import { OrderButton } from "../parts/orderbutton";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { Table } from "../parts/table";
import { LastDone } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { useStateWord } from "../parts/values";
import { useMay, useSession } from "../session";
import { useTranslation } from "../text/translation";
import { lastMonth } from "../zone";

/** Kinds of missing work that an order may pass over. */
const PASSABLE = new Set(["quarantined", "vendor_unmatched", "dispute_open", "invoices_missing"]);

export function MonthsScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/months" });
  const go = useNavigate({ from: "/months" });
  const { account: own } = useSession();
  const mayClose = useMay("POST /months/{month}/close");
  const word = useStateWord();
  // a part of a path of dots alone leads elsewhere
  const month = search.month?.replace(/^\.+$/, "") || lastMonth(new Date());
  const set = (field: string, value: string) =>
    go({ search: (before) => ({ ...before, [field]: value || undefined }) });
  const account = search.account ?? own ?? "";
  // without a zone the month is that of invoices, which is the one that is closed
  const query = account ? { accounts: listText([account]) } : { all: true };
  // browsers without a field of months let any text be entered, which the server refuses then
  const path = `/statements/${encodeURIComponent(month)}`;
  const found = useRows(path, query);
  return (
    <Page
      title={t("nav.months")}
      needs="GET /statements/{month}"
      tools={
        <Download path={`${path}?${queryText(query)}`} accept="text/csv" name={`statements-${month}.csv`}>
          {t("cdrs.csv")}
        </Download>
      }
    >
      <LastDone />
      <Group align="end" gap="xs">
        <NarrowInput
          type="month"
          max="9999-12"
          label={t("months.month")}
          value={month}
          onEnter={(text) => set("month", text)}
          isNeeded
        />
        <NarrowInput
          label={t("column.account")}
          value={search.account ?? ""}
          onEnter={(text) => set("account", text)}
        />
      </Group>
      {mayClose && <Close key={month} month={month} />}
      <Title order={2} size="h4">
        {t("months.statements")} <span className="quiet">{String(found.rows[0]?.zone ?? "")}</span>
      </Title>
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("months.statements")}
        columns={[
          { name: "account", kind: "account" },
          { name: "currency" },
          { name: "opening", kind: "money" },
          {
            name: "movements",
            show: (row) =>
              (row.movements as Row[])
                .map((each) => `${word(String(each.kind))} ${each.count}: ${amount(String(each.amount))}`)
                .join(", "),
          },
          { name: "closing", kind: "money" },
          { name: "closed", kind: "state" },
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.account)}
        {...found.table}
      />
    </Page>
  );
}

/** Person who closed a month, when and despite what, and the directory of its files. */
function Closed({ sheet: { month, page, directory } }: { sheet: Row }) {
  const { t } = useTranslation();
  const { closed_at, operator, passed, reason } = page as Row;
  const kinds = [...new Set((passed as Row[]).map((each) => t(`months.obstacle_${each.obstacle}`)))];
  return (
    <div role="status">
      <p>{t("months.closed_by", { month, who: operator, moment: moment(String(closed_at), new Date()) })}</p>
      {kinds.length > 0 && <p>{t("months.passed", { what: kinds.join(", "), reason })}</p>}
      <p className="quiet">{t("months.files", { directory })}</p>
    </div>
  );
}

function Close({ month }: { month: string }) {
  const { t } = useTranslation();
  const [despite, setDespite] = useState<readonly string[]>([]);
  const [reason, setReason] = useState("");
  const close = (dry_run: boolean, key?: string, note?: (progress: number) => void) =>
    content(
      client.POST("/months/{month}/close", {
        params: { path: { month }, query: { dry_run } },
        headers: key ? { "Idempotency-Key": key } : {},
        body: (dry_run ? {} : { despite, reason: reason || undefined }) as never,
      }),
    ).then((job) => resultOf(job, note));
  /** The month as it was found behind the trial that the person has asked for: closed, or with other work missing. */
  const [later, setLater] = useState<Row>();
  const trial = useMutation({ mutationFn: () => close(true), onMutate: () => setLater(undefined) });
  const unsaved = useUnsaved(despite.length > 0 || reason !== "");
  const sheet = later ?? trial.data;
  const missing = (sheet?.missing ?? []) as Row[];
  const left = missing.filter((each) => !despite.includes(String(each.obstacle)));
  return (
    <Stack gap="xs">
      <Group>
        <OrderButton size="xs" variant="default" isAtWork={trial.isPending} onClick={() => trial.mutate()}>
          {t("months.look")}
        </OrderButton>
        {sheet && !sheet.closed && left.length === 0 && (
          <Change
            isDanger
            saysAbove
            act={t("months.close")}
            title={t("months.close_title", { month })}
            lead={t("months.close_lead")}
            disabled={despite.length > 0 && !reason}
            run={async (key, again, note) => {
              // kinds are passed over: more of one that has come since was not looked at
              if (despite.length > 0 && !again) {
                const now = await close(true);
                if (!now.closed && JSON.stringify(now.missing) !== JSON.stringify(missing)) {
                  setLater(now);
                  throw new ChangedSince(t("months.missing_else"));
                }
              }
              setLater(await close(false, key, note));
              unsaved.saved();
              return { said: t("months.closed", { month }) };
            }}
          />
        )}
      </Group>
      <ProblemText error={trial.error} />
      {unsaved.question}
      {sheet?.closed === true && <Closed sheet={sheet} />}
      {sheet && !sheet.closed && missing.length === 0 && <span role="status">{t("months.nothing", { month })}</span>}
      {missing.length > 0 && (
        <>
          <Table
            label={t("months.missing")}
            columns={[
              { name: "obstacle", show: (row) => t(`months.obstacle_${row.obstacle}`) },
              { name: "detail", kind: "sentence" },
              { name: "do" },
              {
                name: "despite",
                show: (row) => {
                  const kind = String(row.obstacle);
                  if (!PASSABLE.has(kind)) return null;
                  return (
                    <Checkbox
                      size="xs"
                      aria-label={t("months.pass", { what: t(`months.obstacle_${kind}`) })}
                      checked={despite.includes(kind)}
                      onChange={(event) =>
                        setDespite(
                          event.currentTarget.checked ? [...despite, kind] : despite.filter((each) => each !== kind),
                        )
                      }
                    />
                  );
                },
              },
            ]}
            rows={missing}
            rowKey={(row, index) => `${row.obstacle} ${index}`}
          />
          {despite.length > 0 && (
            <TextInput
              label={t("months.reason")}
              required
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
            />
          )}
        </>
      )}
    </Stack>
  );
}
