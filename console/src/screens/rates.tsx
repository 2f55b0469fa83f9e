/** Rate groups, and what a number costs in each of them at a time. */

import { Button, Group, TextInput, Title } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { localMinute } from "../format";
import { MomentInput } from "../parts/minute";
import { useEntered } from "../parts/narrow";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { useMay, useSession } from "../session";
import { useTranslation } from "../text/translation";

const GROUP: Column = {
  name: "rate_group",
  show: (row) => <RateGroup name={String(row.rate_group ?? row.name)} />,
};

/** What the page of a rate group is made of. */
const ON_PAGE = [
  "GET /rates/groups/{rate_group}/areas",
  "GET /decks/{rate_group}/versions",
  "POST /decks/{rate_group}/imports",
];

/** A rate group with the way to its page, where a person sees anything on that. */
function RateGroup({ name }: { name: string }) {
  const { may } = useSession();
  if (!ON_PAGE.some((operation) => may.has(operation))) return name;
  return (
    <Link to="/rates/$group" params={{ group: name }}>
      {name}
    </Link>
  );
}

/** What agents and customers are not shown. */
const OF_OPERATORS: Column[] = [
  { name: "rates_from", kind: "state" },
  { name: "base" },
  { name: "accounts", kind: "number" },
  { name: "gateways", kind: "number" },
  { name: "memo", kind: "words" },
];

export function RatesScreen() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/rates" });
  const mayLookUp = useMay("GET /rates/lookup");
  const groups = useRows("/rates/groups", {});
  return (
    <Page title={t("nav.tariffs")} needs="GET /rates/groups">
      {mayLookUp && <LookUp />}
      {mayLookUp && search.number && <Found number={search.number} at={search.at} />}
      <Title order={2} size="h4">
        {t("rates.groups")}
      </Title>
      <ProblemText error={groups.error} again={groups.again} />
      <RowCount of={groups} />
      <Table
        label={t("rates.groups")}
        columns={[
          GROUP,
          { name: "currency" },
          { name: "price_per", kind: "state" },
          { name: "rates", kind: "number" },
          ...(mayLookUp ? OF_OPERATORS : []),
        ]}
        rows={groups.rows}
        rowKey={(row) => String(row.name)}
        {...groups.table}
      />
    </Page>
  );
}

function LookUp() {
  const { t } = useTranslation();
  const search = useSearch({ from: "/rates" });
  const go = useNavigate({ from: "/rates" });
  const [number, setNumber] = useEntered(search.number ?? "");
  const [at, setAt] = useEntered(localMinute(search.at) ? search.at : "");
  const look = (event: FormEvent) => {
    event.preventDefault();
    void go({ search: { number: number.replace(/[^\d+]/g, ""), at: at || undefined } });
  };
  return (
    <form onSubmit={look}>
      <Group align="end" gap="xs">
        <TextInput
          label={t("rates.number")}
          required
          inputMode="tel"
          value={number}
          onChange={(event) => setNumber(event.currentTarget.value)}
        />
        <MomentInput label={t("try.at")} value={at} onChange={setAt} />
        <Button type="submit">{t("rates.look_up")}</Button>
      </Group>
    </form>
  );
}

function Found({ number, at }: { number: string; at?: string }) {
  const { t } = useTranslation();
  const found = useRows("/rates/lookup", { number, at });
  return (
    <>
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("rates.found", { number })}
        columns={[
          GROUP,
          { name: "prefix" },
          { name: "area" },
          { name: "billing_rate", kind: "money" },
          { name: "price_per", kind: "state" },
          { name: "interval" },
          { name: "closed", kind: "state" },
          { name: "version", kind: "number" },
        ]}
        rows={found.rows}
        rowKey={(row) => String(row.rate_group)}
        {...found.table}
      />
    </>
  );
}
