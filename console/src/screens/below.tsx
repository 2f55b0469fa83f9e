/** Accounts below an agent, for its own first page and for its page. */

import { SegmentedControl } from "@mantine/core";
import { keepPreviousData } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Part } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { useMay } from "../session";
import { USE_MS, useCharged } from "./accounts";

const COLUMNS: readonly Column[] = [
  { name: "id", kind: "account" },
  { name: "name" },
  { name: "agent" },
  { name: "balance", kind: "money" },
  { name: "available", kind: "money" },
  { name: "charged_today", kind: "money" },
  { name: "calls_now", kind: "number" },
  { name: "blocked", kind: "state" },
];

/** Accounts directly below an agent, or all; nothing where there are none. */
export function Below({
  agent,
  isWhole,
  onWhole,
}: {
  agent: string;
  isWhole: boolean;
  onWhole: (isWhole: boolean) => void;
}) {
  const { t } = useTranslation();
  const sees = useMay("GET /balances");
  const below = { agent, all: isWhole };
  const found = useRows(
    "/balances",
    { ...below, calls: true },
    { enabled: sees, placeholderData: keepPreviousData, refetchInterval: USE_MS },
  );
  const withCharged = useCharged(below, found.pages.length);
  if (!found.error && found.rows.length === 0) return null;
  return (
    <Part title={t("portal.below")}>
      <SegmentedControl
        size="xs"
        aria-label={t("portal.below")}
        data={["direct", "all"].map((value) => ({ value, label: t(`portal.${value}`) }))}
        value={isWhole ? "all" : "direct"}
        onChange={(value) => onWhole(value === "all")}
      />
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("portal.below")}
        columns={COLUMNS}
        rows={found.rows.map(withCharged)}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </Part>
  );
}
