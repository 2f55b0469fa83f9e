/** What a change would have done to the calls of last week: routed again, with cost and margin before and after. */

import { Modal, Stack, Table, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { client, content, Problem, type Row, type Schemas } from "../api/client";
import { present } from "../api/clock";
import { resultOf } from "../api/jobs";
import { amount } from "../format";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { JobUnderWay } from "./jobunderway";
import { NotShown, withMoney } from "./lacking";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";
import { Table as Rows } from "./table";

const WEEK_MS = 7 * 24 * 3_600_000;
/** Kinds of objects that decide where calls go, or what they cost. */
const ROUTES = new Set([
  "accounts",
  "calendars",
  "gateway_groups",
  "mapping_gateways",
  "number_lists",
  "rate_groups",
  "routing_gateways",
  "routing_plans",
]);

/** A change as `POST /bulk` takes it. */
export interface Tried {
  action: "create" | "replace" | "merge" | "delete";
  kind: string;
  name: string;
  keys?: Record<string, unknown>;
}

/** Whether changes may send calls elsewhere, or change what they cost. */
export const decidesRoutes = (objects: readonly Tried[]) => objects.every((each) => ROUTES.has(each.kind));

const mistakesOf = (failure: Error | null) => (failure instanceof Problem ? failure.errors : []);

/** A button that tries changes on last week's calls before they are made. */
export function Simulate({
  objects,
  disabled,
  onMistakes,
}: {
  objects: readonly Tried[];
  disabled?: boolean;
  /** Shows the mistakes for which it was refused at their fields; none when it begins. */
  onMistakes: (errors: Problem["errors"]) => void;
}) {
  const { t } = useTranslation();
  const may = useMay("POST /routes/simulate");
  const [progress, setProgress] = useState(0);
  const button = useRef<HTMLButtonElement>(null);
  const simulation = useMutation({
    mutationFn: async ({ signal }: AbortController) => {
      const now = present();
      const job = await content(
        client.POST("/routes/simulate", {
          params: { header: { Prefer: "respond-async" } } as never,
          headers: { Prefer: "respond-async" },
          body: {
            since: new Date(now - WEEK_MS).toISOString(),
            until: new Date(now).toISOString(),
            objects,
          } as never,
        }),
      );
      return resultOf(job as unknown as Schemas["JobSheet"], setProgress, signal);
    },
    onMutate: () => onMistakes([]),
    onError: (failure) => onMistakes(mistakesOf(failure)),
  });
  if (!may || !decidesRoutes(objects)) return null;
  return (
    <>
      <OrderButton
        ref={button}
        size="xs"
        variant="default"
        disabled={disabled}
        isAtWork={simulation.isPending}
        onClick={() => {
          setProgress(0);
          simulation.mutate(new AbortController());
        }}
      >
        {t("simulation.go")}
      </OrderButton>
      <JobUnderWay order={simulation} progress={progress} button={button} />
      {mistakesOf(simulation.error).length === 0 && <ProblemText error={simulation.error} />}
      <Modal
        opened={simulation.isSuccess}
        onClose={simulation.reset}
        size="xl"
        title={t("simulation.title")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        {simulation.data && <Outcome found={simulation.data} />}
      </Modal>
    </>
  );
}

const MONEY = ["fee", "cost", "margin"] as const;
const COUNTS = ["calls", "answered", "minutes", "without_route", "loss_calls"] as const;

function Outcome({ found }: { found: Row }) {
  const { t } = useTranslation();
  const [before, after] = [found.before as Row, found.after as Row];
  const currencies = (found.currencies ?? []) as Row[];
  const gateways = ((found.gateways ?? []) as Row[]).map((each) => beside(each, "calls", "cost"));
  const destinations = ((found.destinations ?? []) as Row[]).map((each) => beside(each, "cost", "margin"));
  return (
    <Stack gap="sm">
      <p role="status">{t("simulation.changed", { changed: found.changed, calls: found.calls })}</p>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th />
            <Table.Th ta="right">{t("simulation.before")}</Table.Th>
            <Table.Th ta="right">{t("simulation.after")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {COUNTS.filter((name) => name in before).map((name) => (
            <Line key={name} name={t(`simulation.${name}`)} before={String(before[name])} after={String(after[name])} />
          ))}
          {currencies.flatMap((each) =>
            MONEY.map((name) => (
              <Line
                key={`${each.currency} ${name}`}
                name={`${t(`column.${name}`)} ${each.currency ?? ""}`}
                before={amount(String((each.before as Row)[name]))}
                after={amount(String((each.after as Row)[name]))}
              />
            )),
          )}
        </Table.Tbody>
      </Table>
      <Title order={2} size="h4">
        {t("simulation.gateways")}
      </Title>
      <Rows
        label={t("simulation.gateways")}
        columns={withMoney(
          [
            { name: "routing_gateway", kind: "gateway" },
            { name: "calls_before", kind: "number" },
            { name: "calls_after", kind: "number" },
            { name: "cost_before", kind: "money" },
            { name: "cost_after", kind: "money" },
          ],
          gateways,
        )}
        rows={gateways}
        rowKey={(row) => `${row.routing_gateway} ${row.currency}`}
      />
      <Title order={2} size="h4">
        {t("simulation.destinations")}
      </Title>
      <Rows
        label={t("simulation.destinations")}
        columns={withMoney(
          [
            { name: "prefix" },
            { name: "area" },
            { name: "changed", kind: "number" },
            { name: "cost_before", kind: "money" },
            { name: "cost_after", kind: "money" },
            { name: "margin_before", kind: "money" },
            { name: "margin_after", kind: "money" },
          ],
          destinations,
        )}
        rows={destinations}
        rowKey={(row, index) => `${row.prefix} ${index}`}
      />
      <NotShown lacking={found.lacking} />
      <span className="quiet">{t("simulation.without")}</span>
    </Stack>
  );
}

/** Figures of both sides as columns of one row. */
export function beside(row: Row, ...names: string[]): Row {
  const sides = Object.fromEntries(
    names.flatMap((name) => [
      [`${name}_before`, (row.before as Row | undefined)?.[name]],
      [`${name}_after`, (row.after as Row | undefined)?.[name]],
    ]),
  );
  return { ...row, ...sides };
}

function Line({ name, before, after }: { name: string; before: string; after: string }) {
  const isChanged = before !== after;
  return (
    <Table.Tr>
      <Table.Th scope="row">{name}</Table.Th>
      <Table.Td ta="right">{before}</Table.Td>
      <Table.Td ta="right">{isChanged ? <b>{after}</b> : after}</Table.Td>
    </Table.Tr>
  );
}
