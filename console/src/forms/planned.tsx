/** What a routing plan does with a number: gateways in their order, beside the order of now. */

import { Autocomplete, Group, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Row, type Schemas, send } from "../api/client";
import { NotShown, withMoney } from "../parts/lacking";
import { marginIn } from "../parts/margin";
import { MomentInput } from "../parts/minute";
import { ProblemText } from "../parts/problem";
import type { Tried } from "../parts/simulation";
import { Table } from "../parts/table";
import { State } from "../parts/values";
import { useMay } from "../session";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { useNames } from "./fields";
import { planRows } from "./plan";

type Explained = Schemas["ExplainedRoute"];

const TYPED_MS = 400;
const NAMES_SHOWN = 50;
const ANYONE = "anonymous";

export function Planned({ name, isStored, objects }: { name: string; isStored: boolean; objects: readonly Tried[] }) {
  const { t } = useTranslation();
  const may = useMay("POST /routes/explain");
  const [entered, setEntered] = useState({ callee: "", gateway: "", caller: "", at: "" });
  const trunks = useNames("mapping_gateways", entered.gateway);
  const gateway = entered.gateway || trunks[0] || "";
  const call = {
    gateway,
    callee: entered.callee.trim(),
    caller: entered.caller.trim() || ANYONE,
    plan: name,
    at: entered.at || undefined,
  };
  // as text, because an object would be another one each time that this is drawn
  const [asked] = useDebouncedValue(JSON.stringify({ call, objects }), TYPED_MS);
  const wanted = JSON.parse(asked) as { call: typeof call; objects: readonly Tried[] };
  const isWhole = may && Boolean(wanted.call.callee && wanted.call.gateway && name);
  const explain = (changes: readonly Tried[], enabled: boolean) => ({
    queryKey: ["planned", wanted.call, changes],
    queryFn: () => send<Explained>("post", "/routes/explain", { body: { ...wanted.call, objects: changes } }),
    enabled: isWhole && enabled,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const isChanged = wanted.objects.length > 0;
  const now = useQuery(explain([], isStored));
  const then = useQuery(explain(wanted.objects, isChanged));
  if (!may) return null;
  const shown = isChanged ? then : now;
  const sheet = shown.data?.sheet;
  const rows = sheet
    ? planRows(sheet as unknown as Row, isStored ? (now.data?.sheet as unknown as Row) : undefined)
    : [];
  const set = (field: keyof typeof entered, value: string) => setEntered({ ...entered, [field]: value });
  return (
    <section aria-label={t("plan.preview")}>
      <Title order={2} size="h4">
        {t("plan.preview")}
      </Title>
      <Group align="end" gap="xs">
        <TextInput
          size="xs"
          inputMode="tel"
          label={t("try.callee")}
          value={entered.callee}
          onChange={(event) => set("callee", event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.preventDefault()} // it is no order to save the plan
        />
        <Autocomplete
          size="xs"
          label={t("try.gateway")}
          placeholder={trunks[0]}
          data={[...trunks]}
          limit={NAMES_SHOWN}
          value={entered.gateway}
          onChange={(value) => set("gateway", value)}
        />
        <TextInput
          size="xs"
          label={t("try.caller")}
          placeholder={ANYONE}
          value={entered.caller}
          onChange={(event) => set("caller", event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
        />
        <MomentInput size="xs" label={t("try.at")} value={entered.at} onChange={(at) => set("at", at)} />
      </Group>
      {!name && <p className="quiet">{t("plan.name_first")}</p>}
      <ProblemText error={isWhole ? shown.error : null} />
      {isWhole && sheet && !shown.error && (
        <>
          <p role="status">
            {t("try.result")}: <State value={sheet.result} /> <ServerText text={sheet.detail} />{" "}
            {sheet.rate &&
              t("try.price", {
                price: sheet.rate.price_per_minute,
                currency: sheet.rate.currency,
                prefix: sheet.rate.rate_prefix,
                group: sheet.rate.rate_group,
              })}
          </p>
          <Table
            label={t("plan.gateways")}
            columns={withMoney(
              [
                { name: "position", kind: "number" },
                ...(isChanged && isStored ? [{ name: "position_now", kind: "number" } as const] : []),
                { name: "routing_gateway", kind: "gateway" },
                { name: "prefix" },
                { name: "priority", kind: "number" },
                { name: "weight", kind: "number" },
                { name: "cost", kind: "money" },
                { name: "effective_cost", kind: "money" },
                marginIn(sheet.rate?.currency),
                { name: "reason", kind: "sentence" },
              ],
              rows,
            )}
            rows={rows}
            rowKey={(row, index) => `${row.routing_gateway} ${index}`}
          />
          <NotShown lacking={shown.data?.lacking} />
          <span className="quiet">{t("plan.idle")}</span>
        </>
      )}
    </section>
  );
}
