/** A real call through one gateway, without a customer: its steps as they happened, and its cost. */

import { Checkbox, Group, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { client, content, type Row } from "../api/client";
import { amount } from "../format";
import { useMay } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { Confirm } from "./confirm";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";
import { Table } from "./table";

export function TestCall({ via, number = "", caller = "" }: { via: string; number?: string; caller?: string }) {
  const { t } = useTranslation();
  const may = useMay("POST /calls/test");
  const [entered, setEntered] = useState({ callee: number, caller });
  const [ringOnly, setRingOnly] = useState(true);
  const [asks, setAsks] = useState(false);
  const call = useMutation({
    mutationFn: () =>
      content(
        client.POST("/calls/test", {
          headers: { "Idempotency-Key": crypto.randomUUID() },
          body: { via, callee: entered.callee, caller: entered.caller || undefined, is_ring_only: ringOnly } as never,
        }),
      ),
    onMutate: () => setAsks(false),
  });
  if (!may) return null;
  const report = call.data;
  return (
    <Stack gap="xs">
      <Group align="end" gap="xs">
        {(["callee", "caller"] as const).map((field) => (
          <TextInput
            key={field}
            label={t(`testcall.${field}`)}
            inputMode="tel"
            value={entered[field]}
            onChange={(event) => setEntered({ ...entered, [field]: event.currentTarget.value })}
          />
        ))}
        <Checkbox
          label={t("testcall.ring_only")}
          checked={ringOnly}
          onChange={(event) => setRingOnly(event.currentTarget.checked)}
          pb={8}
        />
        <OrderButton
          size="sm"
          variant="default"
          disabled={!entered.callee}
          isAtWork={call.isPending}
          onClick={() => setAsks(true)}
        >
          {t("testcall.go")}
        </OrderButton>
      </Group>
      <ProblemText error={call.error} />
      {report && (
        <>
          <p role="status">
            <b>{t(`testcall.result_${report.result}`)}</b> {report.code ?? ""} <ServerText text={report.reason} />{" "}
            {report.pdd_ms !== null && t("testcall.pdd", { ms: report.pdd_ms })} {report.codec ?? ""}{" "}
            {t("testcall.cost", { cost: amount(report.cost), currency: report.vendor_currency ?? "" })}{" "}
            {report.call_id && (
              <Link to="/cdrs/$call" params={{ call: report.call_id }} search={{ tab: "ladder" }}>
                {t("call.ladder")}
              </Link>
            )}
          </p>
          <Table
            label={t("testcall.steps")}
            columns={[
              { name: "ms", kind: "number" },
              { name: "what", kind: "sentence" },
            ]}
            rows={report.steps as unknown as Row[]}
            rowKey={(_step, index) => String(index)}
          />
        </>
      )}
      <Confirm
        opened={asks}
        title={t("testcall.title", { via, callee: entered.callee })}
        lead={t("testcall.lead")}
        act={t("testcall.go")}
        isAtWork={call.isPending}
        error={null}
        onAct={() => call.mutate()}
        onClose={() => setAsks(false)}
      />
    </Stack>
  );
}
