/** One call tried with a change that is not made: where it goes, and as which numbers. */

import { Group, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { type Row, send } from "../api/client";
import { useMay } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { NotShown, withMoney } from "./lacking";
import { marginIn } from "./margin";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";
import { decidesRoutes, type Tried } from "./simulation";
import { Table } from "./table";
import { State } from "./values";

const FIELDS = ["gateway", "caller", "callee"] as const;

export function TryCall({ objects }: { objects: readonly Tried[] }) {
  const { t } = useTranslation();
  const may = useMay("POST /routes/explain");
  const [call, setCall] = useState({ gateway: "", caller: "", callee: "" });
  const explained = useMutation({
    mutationFn: (changes: readonly Tried[]) =>
      send<{ sheet: Row; lacking: string[] }>("post", "/routes/explain", { body: { ...call, objects: changes } }),
  });
  // a pool sends a call nowhere else, but with another number
  const isTried = decidesRoutes(objects) || objects.every((each) => each.kind === "number_pools");
  if (!may || !isTried) return null;
  const sheet = explained.data?.sheet;
  const candidates = (sheet?.candidates ?? []) as Row[];
  return (
    <details>
      <summary>{t("simulation.one_call")}</summary>
      <Stack gap="xs" pt="xs">
        <Group align="end" gap="xs">
          {FIELDS.map((field) => (
            <TextInput
              key={field}
              size="xs"
              label={t(`try.${field}`)}
              value={call[field]}
              onChange={(event) => setCall({ ...call, [field]: event.currentTarget.value })}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault(); // it is no order to save the object
                explained.mutate(objects);
              }}
            />
          ))}
          <OrderButton
            size="xs"
            variant="default"
            disabled={!FIELDS.every((field) => call[field])}
            isAtWork={explained.isPending}
            onClick={() => explained.mutate(objects)}
          >
            {t("simulation.try_one")}
          </OrderButton>
        </Group>
        <ProblemText error={explained.error} />
        {sheet && (
          <>
            <p role="status">
              {t("try.result")}: <State value={sheet.result} /> <ServerText text={sheet.detail} />{" "}
              {t("simulation.numbers", { caller: sheet.caller_routed, callee: sheet.callee_billed })}
            </p>
            <Table
              label={t("try.candidates")}
              columns={withMoney(
                [
                  { name: "position", kind: "number" },
                  { name: "routing_gateway", kind: "gateway" },
                  { name: "callee_out" },
                  { name: "caller_out" },
                  { name: "cost", kind: "money" },
                  marginIn((sheet.rate as Row | null | undefined)?.currency),
                  { name: "reason", kind: "sentence" },
                ],
                candidates,
              )}
              rows={candidates}
              rowKey={(row, index) => `${row.routing_gateway} ${index}`}
            />
            <NotShown lacking={explained.data?.lacking} />
          </>
        )}
      </Stack>
    </details>
  );
}
