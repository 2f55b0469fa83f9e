/** Agents and the accounts below them, directly and in all. */

import { Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { pageOf, type Row } from "../api/client";
import { Go } from "../parts/go";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Table } from "../parts/table";
import { useTranslation } from "../text/translation";
import { type Branch, namesIn, namesTo, opened, treeOf } from "./tree";

const PAGE_ROWS = 1_000;
const ROWS_MAX = 20_000;
/** Agents with fewer accounts below them are open from the beginning. */
const OPEN_BELOW = 50;
/** The indentation of an account below its agent. */
const INDENT_REM = 1.2;

async function allAccounts(): Promise<{ rows: Row[]; isCut: boolean }> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await pageOf("/balances", { limit: PAGE_ROWS, cursor });
    rows.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor && rows.length < ROWS_MAX);
  return { rows, isCut: cursor !== undefined };
}

export function AgentsScreen() {
  const { t } = useTranslation();
  const { all, opened: openedText, shut } = useSearch({ from: "/agents" });
  const go = useNavigate({ from: "/agents" });
  const found = useQuery({
    queryKey: ["balances", "tree"],
    queryFn: allAccounts,
    // all accounts are read for it, which a return to the page within a minute is no reason to do again
    staleTime: 60_000,
  });
  const branches = useMemo(() => treeOf(found.data?.rows ?? []), [found.data]);
  const shown = all ? branches : branches.filter((each) => each.count > 0);
  const [openedNames, shutNames] = [namesIn(openedText), namesIn(shut)];
  const isOpen = ({ row, count }: Branch) =>
    openedNames.has(String(row.id)) || (count < OPEN_BELOW && !shutNames.has(String(row.id)));
  const turn = (branch: Branch) => {
    const name = String(branch.row.id);
    const [into, outOf] = isOpen(branch) ? [shutNames, openedNames] : [openedNames, shutNames];
    into.add(name);
    outOf.delete(name);
    go({ search: { all, opened: namesTo(openedNames), shut: namesTo(shutNames) }, replace: true });
  };
  const rows = [...opened(shown, isOpen)].map((branch): Row => ({ ...branch.row, branch, is_open: isOpen(branch) }));
  const account = (row: Row) => <Account branch={row.branch as Branch} isOpen={Boolean(row.is_open)} turn={turn} />;
  return (
    <Page
      title={t("nav.agents")}
      needs="GET /balances"
      tools={
        <Switch
          label={t("agents.all")}
          checked={Boolean(all)}
          onChange={(event) =>
            go({
              search: { all: event.currentTarget.checked ? "1" : undefined, opened: openedText, shut },
            })
          }
        />
      }
    >
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data?.isCut && <p className="quiet">{t("agents.cut", { count: ROWS_MAX })}</p>}
      <Table
        label={t("nav.agents")}
        columns={[
          { name: "account", show: account },
          { name: "name" },
          { name: "agent" },
          { name: "accounts", show: ({ branch }) => <Count branch={branch as Branch} /> },
          { name: "balance", kind: "money" },
          { name: "blocked", kind: "state" },
        ]}
        rows={rows}
        rowKey={(row) => String(row.id)}
        read={found.status}
        empty={t("agents.none")}
      />
    </Page>
  );
}

/** The name of an account at its depth, with the button that opens and shuts what is below it; the address has it. */
function Account({ branch, isOpen, turn }: { branch: Branch; isOpen: boolean; turn: (branch: Branch) => void }) {
  const { t } = useTranslation();
  const name = String(branch.row.id);
  return (
    <span style={{ paddingInlineStart: `${INDENT_REM * branch.depth}rem` }}>
      {branch.count > 0 && (
        <button
          type="button"
          className="sort branch"
          aria-expanded={isOpen}
          aria-label={t("agents.open", { name })}
          onClick={() => turn(branch)}
        >
          {isOpen ? "▾" : "▸"}
        </button>
      )}{" "}
      <Go to={`/accounts/${encodeURIComponent(name)}`} isOfRow>
        {name}
      </Go>
    </span>
  );
}

function Count({ branch: { below, count } }: { branch: Branch }) {
  const { t } = useTranslation();
  return count > 0 ? t("agents.below", { direct: below.length, all: count }) : <span className="quiet">–</span>;
}
