/** Agents and the accounts below them, directly and in all. */

import { Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { pageOf, type Row } from "../api/client";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Money, State } from "../parts/values";
import { type Branch, treeOf } from "./tree";

const PAGE_ROWS = 1_000;
const ROWS_MAX = 20_000;
/** Agents with fewer accounts below them are open from the beginning. */
const OPEN_BELOW = 50;

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
  const { all } = useSearch({ from: "/agents" });
  const go = useNavigate({ from: "/agents" });
  const found = useQuery({ queryKey: ["balances", "tree"], queryFn: allAccounts });
  const branches = treeOf(found.data?.rows ?? []);
  const shown = all ? branches : branches.filter((each) => each.count > 0);
  return (
    <Page
      title={t("nav.agents")}
      needs="GET /balances"
      actions={
        <Switch
          label={t("agents.all")}
          checked={Boolean(all)}
          onChange={(event) => go({ search: { all: event.currentTarget.checked ? "1" : undefined }, replace: true })}
        />
      }
    >
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data?.isCut && <p className="quiet">{t("agents.cut", { count: ROWS_MAX })}</p>}
      {found.isPending && <p className="quiet">{t("state.loading")}</p>}
      {found.data && shown.length === 0 && <p className="quiet">{t("agents.none")}</p>}
      <Branches branches={shown} />
    </Page>
  );
}

function Branches({ branches }: { branches: readonly Branch[] }) {
  return (
    <ul className="tree">
      {branches.map((branch) => (
        <li key={String(branch.row.id)}>{branch.count > 0 ? <Node branch={branch} /> : <Account branch={branch} />}</li>
      ))}
    </ul>
  );
}

/** An agent; what is below it is drawn while it is open. */
function Node({ branch }: { branch: Branch }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(branch.count < OPEN_BELOW);
  return (
    <>
      <button
        type="button"
        className="sort"
        aria-expanded={isOpen}
        aria-label={t("agents.open", { name: String(branch.row.id) })}
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? "▾" : "▸"}
      </button>{" "}
      <Account branch={branch} />
      {isOpen && <Branches branches={branch.below} />}
    </>
  );
}

function Account({ branch: { row, below, count } }: { branch: Branch }) {
  const { t } = useTranslation();
  return (
    <>
      <Link to="/accounts/$name" params={{ name: String(row.id) }}>
        {String(row.id)}
      </Link>{" "}
      {row.name ? `${row.name} ` : ""}
      <Money value={row.balance} currency={row.currency} />
      {row.blocked === true && (
        <>
          {" "}
          <State value="blocked" />
        </>
      )}
      {count > 0 && <span className="quiet"> {t("agents.below", { direct: below.length, all: count })}</span>}
    </>
  );
}
