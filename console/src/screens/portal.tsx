/** The first page of a customer or an agent: its money, how it pays in, invoices, phones, the accounts below it. */

import { Alert, Button, Group } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { queryText, type Row } from "../api/client";
import { brand } from "../brand";
import { useDayBegin } from "../parts/age";
import { Download } from "../parts/download";
import { useDayZone } from "../parts/minute";
import { Facts, Page, Part } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { Money, State } from "../parts/values";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { Below } from "./below";
import { isRefused } from "./login";
import { nameOf, USE, useMoney } from "./money";

const READ_MS = 15_000;
const MONEY = ["balance", "available", "overdraft_limit", ...USE];
const PHONES: readonly Column[] = [
  { name: "name" },
  { name: "state", kind: "state" },
  { name: "user_agent" },
  { name: "expires_at", kind: "moment" },
];

export function PortalScreen({ account }: { account: string }) {
  const { t } = useTranslation();
  const { tree } = useSearch({ from: "/" });
  const go = useNavigate({ from: "/" });
  const { balance, use, row } = useMoney(account);
  return (
    <Page
      title={String(row?.name || account)}
      needs="GET /accounts/{account}/balance"
      actions={<Downloads account={account} zone={row?.timezone} />}
    >
      <Reading of={balance} />
      <ProblemText error={use.error} again={() => use.refetch()} />
      {row?.blocked === true && (
        <Alert color="red" variant="outline">
          {t("portal.blocked")}
        </Alert>
      )}
      {row && (
        <Facts
          facts={[
            [t("column.account"), account],
            ...MONEY.map(
              (name) => [t(`column.${name}`), <Money key={name} value={row[name]} currency={row.currency} />] as const,
            ),
            [t("portal.days"), String(row.timezone ?? "–")],
            [t("column.blocked"), <State key="blocked" value={row.blocked} />],
          ]}
        />
      )}
      {/* money for an account that has ended would be of no one */}
      {!isRefused(balance.error, "may_not_act") && <PayIn account={account} />}
      <Invoices account={account} />
      <Phones />
      <Below
        agent={account}
        isWhole={tree === "all"}
        onWhole={(isWhole) => go({ search: { tree: isWhole ? "all" : undefined } })}
      />
    </Page>
  );
}

/**
 * Calls of today as a file, and the ways to its entries; longer spans are narrowed on their own pages. The day is that of
 * the account, or the viewer's where the account's zone is not read or the browser does not know it.
 */
function Downloads({ account, zone: named }: { account: string; zone: unknown }) {
  const { t } = useTranslation();
  const zone = useDayZone(String(named ?? ""));
  const since = useDayBegin(zone);
  const sees = { calls: useMay("GET /cdrs"), money: useMay("GET /accounts/{account}/ledger") };
  return (
    <Group gap="xs">
      {sees.calls && (
        <>
          <Button component={Link} to="/cdrs" size="xs" variant="default">
            {t("nav.cdrs")}
          </Button>
          <Download path={`/cdrs?${queryText({ since })}`} accept="text/csv" name="calls.csv">
            {t("portal.calls_today", { zone })}
          </Download>
        </>
      )}
      {sees.money && (
        <Button component={Link} to={`/accounts/${encodeURIComponent(account)}`} size="xs" variant="default">
          {t("portal.account")}
        </Button>
      )}
    </Group>
  );
}

function PayIn({ account }: { account: string }) {
  const { t } = useTranslation();
  if (brand.pay_in.length === 0) return null;
  return (
    <Part title={t("portal.pay_in")}>
      <address>
        {brand.pay_in.map((line) => (
          <div key={line}>{line.replaceAll("{account}", account)}</div>
        ))}
      </address>
    </Part>
  );
}

function Invoices({ account }: { account: string }) {
  const { t } = useTranslation();
  const sees = useMay("GET /invoices");
  const found = useRows("/invoices", { account }, { enabled: sees });
  if (!sees) return null;
  const file = (row: Row, path: string, accept: string, end: string) => ({
    path: `/invoices/${row.id}/${path}`,
    accept,
    name: `${nameOf(row)}.${end}`,
  });
  const columns: Column[] = [
    { name: "number" },
    { name: "period" },
    { name: "state", kind: "state" },
    { name: "gross", kind: "money" },
    { name: "paid", kind: "money" },
    { name: "due_on" },
    {
      name: "files",
      show: (row) => (
        <Group gap={4} wrap="nowrap">
          <Download size="compact-xs" {...file(row, "pdf", "application/pdf", "pdf")}>
            PDF
          </Download>
          <Download size="compact-xs" {...file(row, "calls", "text/csv", "csv")}>
            {t("portal.calls")}
          </Download>
        </Group>
      ),
    },
  ];
  return (
    <Part title={t("nav.invoices")}>
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("nav.invoices")}
        columns={columns}
        rows={found.rows}
        rowKey={(row) => String(row.id)}
        {...found.table}
      />
    </Part>
  );
}

function Phones() {
  const { t } = useTranslation();
  const sees = useMay("GET /registrations");
  const found = useRows("/registrations", { direction: "inbound" }, { refetchInterval: READ_MS, enabled: sees });
  if (!sees) return null;
  return (
    <Part title={t("portal.phones")}>
      <ProblemText error={found.error} again={found.again} />
      <RowCount of={found} />
      <Table
        label={t("portal.phones")}
        columns={PHONES}
        rows={found.rows}
        rowKey={(row, index) => `${row.name} ${index}`}
        {...found.table}
      />
    </Part>
  );
}
