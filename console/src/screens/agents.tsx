/** Agents and the accounts below them, directly and in all. */

import { Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { pageOf, type Row } from "../api/client";
import { Page } from "../parts/page";
import { ProblemText } from "../parts/problem";
import { Money, State } from "../parts/values";
import { type Branch, namesIn, namesTo, treeOf } from "./tree";

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
  const { all, opened, shut } = useSearch({ from: "/agents" });
  const go = useNavigate({ from: "/agents" });
  const found = useQuery({ queryKey: ["balances", "tree"], queryFn: allAccounts });
  const branches = treeOf(found.data?.rows ?? []);
  const shown = all ? branches : branches.filter((each) => each.count > 0);
  const [openedNames, shutNames] = [namesIn(opened), namesIn(shut)];
  const isOpen = ({ row, count }: Branch) =>
    openedNames.has(String(row.id)) || (count < OPEN_BELOW && !shutNames.has(String(row.id)));
  const turn = (branch: Branch) => {
    const name = String(branch.row.id);
    const [into, outOf] = isOpen(branch) ? [shutNames, openedNames] : [openedNames, shutNames];
    into.add(name);
    outOf.delete(name);
    go({ search: { all, opened: namesTo(openedNames), shut: namesTo(shutNames) }, replace: true });
  };
  return (
    <Page
      title={t("nav.agents")}
      needs="GET /balances"
      actions={
        <Switch
          label={t("agents.all")}
          checked={Boolean(all)}
          onChange={(event) =>
            go({ search: { all: event.currentTarget.checked ? "1" : undefined, opened, shut }, replace: true })
          }
        />
      }
    >
      <ProblemText error={found.error} again={() => found.refetch()} />
      {found.data?.isCut && <p className="quiet">{t("agents.cut", { count: ROWS_MAX })}</p>}
      {found.isPending && <p className="quiet">{t("state.loading")}</p>}
      {found.data && shown.length === 0 && <p className="quiet">{t("agents.none")}</p>}
      <Branches branches={shown} isOpen={isOpen} turn={turn} />
    </Page>
  );
}

/** Which branches are open, and what opens and shuts one; the address has it. */
interface Opening {
  isOpen: (branch: Branch) => boolean;
  turn: (branch: Branch) => void;
}

function Branches({ branches, ...opening }: { branches: readonly Branch[] } & Opening) {
  return (
    <ul className="tree">
      {branches.map((branch) => (
        <li key={String(branch.row.id)}>
          {branch.count > 0 ? <Node branch={branch} {...opening} /> : <Account branch={branch} />}
        </li>
      ))}
    </ul>
  );
}

/** An agent; what is below it is drawn while it is open. */
function Node({ branch, isOpen, turn }: { branch: Branch } & Opening) {
  const { t } = useTranslation();
  const isShown = isOpen(branch);
  return (
    <>
      <button
        type="button"
        className="sort"
        aria-expanded={isShown}
        aria-label={t("agents.open", { name: String(branch.row.id) })}
        onClick={() => turn(branch)}
      >
        {isShown ? "▾" : "▸"}
      </button>{" "}
      <Account branch={branch} />
      {isShown && <Branches branches={branch.below} isOpen={isOpen} turn={turn} />}
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
