/** One account: its money, what was done on it, and what can be done. */

import { Button, Checkbox, Group, Modal, NativeSelect, Stack, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useRef, useState } from "react";
import { readAgain } from "../api/again";
import { client, content, pageOf, type Query, type Row, unlessOther } from "../api/client";
import { isPageOld, Orders, useOrders } from "../api/orders";
import { cleared, INCOMING, override, overridesOf } from "../api/overrides";
import { amount, moment } from "../format";
import { pathOf } from "../forms/keys";
import { Act } from "../parts/act";
import { useDayBegin } from "../parts/age";
import { AmountInput } from "../parts/amountinput";
import { transfer, useBooked } from "../parts/bookings";
import { Confirm } from "../parts/confirm";
import { OrderButton } from "../parts/orderbutton";
import { Facts, Page, Part } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { Missing, ReportTable, reportOf, useSeesReport } from "../parts/reporttable";
import { Rest, RowCount, useRows } from "../parts/rows";
import { type Column, Table } from "../parts/table";
import { TakeBack, useWayBack } from "../parts/takeback";
import { LastDone, useSay } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { Moment, Money, State, useDefinedAt, useStateWord, Value } from "../parts/values";
import { useMay, useSession } from "../session";
import { useTranslation } from "../text/translation";
import { CHARGED_MS, USE_MS } from "./accounts";
import { NewPerson } from "./acts";
import { Below } from "./below";
import { Tree } from "./call";
import { gatewayColumns } from "./columns";
import { isRefused } from "./login";
import { USE, useBalance, useMoney } from "./money";

const LATEST = 50;
const MONEY = ["balance", "available", "overdraft_limit", "reserved", ...USE];
const GATEWAYS_MS = 4_000;
/** Types of accounts whose calls cost the carrier: those of vendors, and of partners on both sides. */
const CLEARING = "clearing";
const PARTNER = "partner";
const COST: Column = {
  name: "cost",
  kind: "money",
  show: (row) => <Money value={row.cost} currency={row.vendor_currency} />,
};

export function AccountScreen() {
  const { t } = useTranslation();
  const { name: account } = useParams({ from: "/accounts/$name" });
  const { tree } = useSearch({ from: "/accounts/$name" });
  const go = useNavigate({ from: "/accounts/$name" });
  const sees = {
    calls: useMay("GET /cdrs"),
    running: useMay("GET /calls"),
    money: useMay("GET /accounts/{account}/ledger"),
    ledger: useMay("GET /ledger"),
    keys: useMay("GET /accounts/{name}"),
  };
  const may = { pay: useMay("POST /accounts/{account}/payments"), block: useMay("POST /accounts/{account}/block") };
  // an agent changes accounts below its own one, and sees none above it
  const { account: own } = useSession();
  const isOwn = own === account;
  const { balance, use, row: read } = useMoney(account);
  // nothing of the account of another is there to see, nor what was read before it became one: one refusal says so
  const isForeign = isRefused(balance.error, "out_of_scope");
  const row = isForeign ? undefined : read;
  // what an agent books for another account leaves its own one, and the currencies of both have to be one
  const moved = useBalance(own ?? account).data;
  const mayMove = moved !== undefined && moved.currency === row?.currency;
  const calls = useQuery({
    queryKey: ["cdrs", account],
    queryFn: () => pageOf("/cdrs", { account, limit: LATEST }),
    enabled: sees.calls,
    refetchInterval: USE_MS,
  });
  const entries = useQuery({
    queryKey: ["ledger", account],
    queryFn: () => pageOf(`/accounts/${encodeURIComponent(account)}/ledger`, { limit: LATEST }),
    enabled: sees.money,
    refetchInterval: USE_MS,
  });
  const undo = useMay("POST /payments/{id}/undo");
  const last = [...(entries.data?.items ?? [])].reverse();
  const [isVendor, isPartner] = [row?.type === CLEARING, row?.type === PARTNER];
  const money = isVendor ? MONEY.filter((name) => name !== "charged_today") : MONEY;
  return (
    <Page
      title={account}
      needs="GET /accounts/{account}/balance"
      actions={
        row && (
          <Group gap="xs">
            {may.pay && mayMove && <Pay account={account} currency={String(row.currency ?? "")} />}
            {mayMove && <Transfer account={account} currency={String(row.currency ?? "")} />}
            {!isOwn && <Credit account={account} currency={String(row.currency ?? "")} limit={row.overdraft_limit} />}
            {!isOwn && may.block && <Block account={account} row={row} />}
          </Group>
        )
      }
    >
      <LastDone />
      <Reading of={balance} />
      {!isForeign && <ProblemText error={use.error} again={() => use.refetch()} />}
      {row && (
        <Facts
          facts={[
            ...money.map(
              (name) => [t(`column.${name}`), <Money key={name} value={row[name]} currency={row.currency} />] as const,
            ),
            [t("portal.days"), String(row.timezone ?? "–")],
            [
              t("customer.running"),
              <Running key="running" account={account} count={row.calls_now} leads={sees.running} />,
            ],
            [t("column.type"), <State key="type" value={row.type} />],
            [t("customer.last_call"), <Moment key="last" value={calls.data?.items[0]?.started_at} />],
            [t("column.expires"), <Moment key="expires" value={row.expires_at} />],
            [t("column.blocked"), <Blocked key="blocked" row={row} />],
            [t("column.agent"), <Value key="agent" row={row} name="agent" kind={isOwn ? "text" : "account"} />],
            [t("column.name"), String(row.name || "–")],
            [t("column.contact"), String(row.contact || "–")],
            [t("column.memo"), String(row.memo || "–")],
          ]}
        />
      )}
      {row && <Elsewhere account={account} isVendor={isVendor} />}
      {(isVendor || isPartner) && (
        <>
          <VendorGateways account={account} />
          <Profit vendor={account} />
        </>
      )}
      {row?.category === "agent" && (
        <Below
          agent={account}
          isWhole={tree === "all"}
          onWhole={(isWhole) => go({ search: { tree: isWhole ? "all" : undefined } })}
        />
      )}
      {sees.calls && !isForeign && (
        <>
          <Title order={2} size="h4">
            {t("customer.last_calls")}
          </Title>
          <ProblemText error={calls.error} />
          <Table
            label={t("customer.last_calls")}
            columns={[
              { name: "started_at", kind: "moment" },
              { name: "caller_in" },
              { name: "callee_in" },
              { name: "end_reason", kind: "state" },
              { name: "hold_time_s", kind: "number" },
              ...(isVendor || isPartner ? [{ name: "routing_gateway", kind: "gateway" } as const] : []),
              ...(isVendor ? [] : [{ name: "fee", kind: "money" } as const]),
              ...(isVendor || isPartner ? [COST] : []),
              { name: "call_id", kind: "call" },
            ]}
            rows={calls.data?.items ?? []}
            rowKey={(each) => String(each.call_id)}
            read={calls.status}
          />
          <Rest page={calls.data}>
            <Link to="/cdrs" search={{ account }}>
              {t("customer.all_calls")}
            </Link>
          </Rest>
        </>
      )}
      {sees.money && !isForeign && (
        <>
          <Title order={2} size="h4">
            {t("customer.ledger")}
          </Title>
          <ProblemText error={entries.error} />
          <Table
            label={t("customer.ledger")}
            columns={[
              { name: "created_at", kind: "moment" },
              { name: "kind", kind: "state" },
              { name: "amount", kind: "money" },
              { name: "balance_after", kind: "money" },
              { name: "reference" },
              { name: "memo", kind: "words" },
              ...(undo ? [{ name: "acts", show: (each: Row) => <TakeBack row={each} /> }] : []),
            ]}
            rows={last}
            rowKey={(each) => String(each.id)}
            read={entries.status}
          />
          <Rest page={entries.data}>
            {sees.ledger && (
              <Link to="/lists/$list" params={{ list: "ledger" }} search={{ account }}>
                {t("customer.all_entries")}
              </Link>
            )}
          </Rest>
        </>
      )}
      {sees.keys && !isForeign && <Settings account={account} />}
      {!isForeign && <Belongings account={account} isVendor={isVendor} />}
    </Page>
  );
}

/** Whether an account is blocked; by a person or an agent, by which one, since when, until when and why. */
function Blocked({ row }: { row: Row }) {
  const { t } = useTranslation();
  return (
    <>
      <State value={row.blocked} />
      {row.blocked_since !== undefined && (
        <>
          {" "}
          {t("customer.blocked_by", { who: row.blocked_by })} <Moment value={row.blocked_since} />
          {row.blocked_until !== undefined && (
            <>
              {" "}
              {t("customer.blocked_until")} <Moment value={row.blocked_until} />
            </>
          )}
          {row.blocked_incoming === true && `, ${t("customer.blocked_incoming")}`}
          {row.blocked_memo !== undefined && `: ${row.blocked_memo}`}
        </>
      )}
    </>
  );
}

/** How many calls of the account run, with the way to them. */
function Running({ account, count, leads }: { account: string; count: unknown; leads: boolean }) {
  if (typeof count !== "number") return <span className="quiet">–</span>;
  return leads ? (
    <Link to="/calls" search={{ account }}>
      {count}
    </Link>
  ) : (
    String(count)
  );
}

/** The other pages of the console, narrowed to the account, that the person may see. */
function Elsewhere({ account, isVendor }: { account: string; isVendor: boolean }) {
  const { t } = useTranslation();
  const { may } = useSession();
  const report = isVendor ? "profit-vendors" : "daily";
  const seesReport = useSeesReport(report);
  const of = isVendor ? { vendor: account } : { account };
  return (
    <Group component="nav" gap="md" aria-label={t("customer.elsewhere")}>
      {may.has("GET /cdrs") && (
        <Link to="/cdrs" search={{ account }}>
          {t("nav.cdrs")}
        </Link>
      )}
      {may.has("GET /payments") && (
        <Link to="/payments" search={{ account }}>
          {t("nav.payments")}
        </Link>
      )}
      {may.has("GET /invoices") && !isVendor && (
        <Link to="/invoices" search={{ account }}>
          {t("nav.invoices")}
        </Link>
      )}
      {seesReport && (
        <Link to="/reports" search={{ name: report, ...of }}>
          {t("nav.reports")}
        </Link>
      )}
      {may.has("GET /audit") && (
        <Link to="/lists/$list" params={{ list: "audit" }} search={{ subject: account }}>
          {t("nav.audit")}
        </Link>
      )}
    </Group>
  );
}

/** Gateways of a vendor as they do now. */
function VendorGateways({ account }: { account: string }) {
  const { t } = useTranslation();
  const sees = useMay("GET /gateways/quality");
  const found = useRows(
    "/gateways/quality",
    { account, kind: "routing" },
    { enabled: sees, refetchInterval: GATEWAYS_MS },
  );
  if (!sees) return null;
  return (
    <Part title={t("kind.routing_gateways")}>
      <Group gap="xs">
        <RowCount of={found} />
        <NewObject kind="routing_gateways" account={account} />
      </Group>
      <ProblemText error={found.error} again={found.again} />
      <Table
        label={t("kind.routing_gateways")}
        columns={gatewayColumns.filter(({ name }) => name !== "kind" && name !== "account")}
        rows={found.rows}
        rowKey={(row) => String(row.gateway)}
        {...found.table}
      />
    </Part>
  );
}

/** Income, cost and profit of the calls that a vendor has carried today. */
function Profit({ vendor }: { vendor: string }) {
  const { t } = useTranslation();
  const since = useDayBegin();
  const order = { since, group: "whole", vendor };
  const found = useQuery({
    queryKey: ["profit-vendors", order],
    queryFn: () => reportOf("profit-vendors", order),
    enabled: useSeesReport("profit-vendors"),
    refetchInterval: CHARGED_MS,
  });
  if (found.error) return <ProblemText error={found.error} again={() => found.refetch()} />;
  if (!found.data) return null;
  return (
    <Part title={t("customer.profit")}>
      <Missing report={found.data} />
      <ReportTable label={t("customer.profit")} report={found.data} read={found.status} order={order} />
    </Part>
  );
}

/** The way to the form of a new object of the account. */
function NewObject({ kind, account }: { kind: string; account: string }) {
  const { t } = useTranslation();
  if (!useMay(`POST ${pathOf(kind)}`)) return null;
  return (
    <Link to="/new/$kind" params={{ kind }} search={{ account }}>
      {t(`customer.new_${kind}`)}
    </Link>
  );
}

function Settings({ account }: { account: string }) {
  const { t } = useTranslation();
  const definedAt = useDefinedAt();
  const found = useQuery({
    queryKey: ["definition", account],
    queryFn: () =>
      content(client.GET("/accounts/{name}", { params: { path: { name: account } } })) as unknown as Promise<Row>,
  });
  const row = found.data;
  if (!row) return <ProblemText error={found.error} again={() => found.refetch()} />;
  return (
    <>
      <Title order={2} size="h4">
        {t("customer.settings")}
      </Title>
      <Link to="/objects/$kind/$name" params={{ kind: "accounts", name: account }}>
        {t("customer.open_settings")}
      </Link>
      {row.source !== "database" && <span className="quiet">{definedAt(String(row.source))}</span>}
      <Tree value={row.keys} />
    </>
  );
}

/**
 * Money from this account to another one; an agent pays from its own account alone, so it is offered this one as the
 * target.
 */
function Transfer({ account, currency }: { account: string; currency: string }) {
  const { t } = useTranslation();
  const { account: own } = useSession();
  const source = own ?? account;
  const back = useWayBack();
  return (
    <Act
      needs="POST /transfers"
      act={t("customer.transfer")}
      title={t("customer.transfer_title", { account: source })}
      lead={t("customer.transfer_lead")}
      asks={[
        {
          name: "target",
          label: t("customer.transfer_to"),
          required: true,
          begin: source === account ? "" : account,
        },
        { name: "amount", label: t("customer.amount", { currency }), kind: "amount", required: true },
        { name: "memo", label: t("customer.memo") },
      ]}
      question={({ target = "", amount: sum = "" }) => ({
        title: t("payments.move_title", { source, target, amount: `${amount(sum)} ${currency}` }),
        lead: t("payments.move_lead"),
      })}
      run={({ target = "", amount: sum = "", memo = "" }, key) => transfer(source, target, sum, memo, key)}
      said={({ receipts }, { target, amount: sum = "" }) =>
        receipts?.length ? t("customer.transferred", { amount: amount(sum), currency, target }) : t("customer.waiting")
      }
      undo={back}
    />
  );
}

const UNLIMITED = "unlimited";

/** Another overdraft limit until it is cleared or expires. */
function Credit({ account, currency, limit }: { account: string; currency: string; limit: unknown }) {
  const { t } = useTranslation();
  const { may } = useSession();
  // one of a colleague may have the same limit with other terms, such as why it is not to be raised; where the page has
  // read another limit, it is of another override
  const isCompared = may.has("GET /overrides") && may.has("POST /accounts/{account}/overrides");
  const overrides = useQuery({
    queryKey: ["overrides", "accounts", account, limit],
    queryFn: () => overridesOf("accounts", account),
    enabled: isCompared,
    staleTime: 0,
  });
  const seen = overrides.data;
  const limitNow = async () => {
    const now = await content(client.GET("/accounts/{account}/balance", { params: { path: { account } } }));
    return now.overdraft_limit ?? null;
  };
  const inWords = (entered = "") =>
    entered === UNLIMITED ? t("value.unlimited") : `${amount(entered)} ${currency}`.trim();
  return (
    <Act
      needs="POST /accounts/{account}/overrides"
      act={t("customer.credit")}
      // those that were read with the same limit before are of another override
      disabled={isCompared && !overrides.isFetchedAfterMount}
      title={t("customer.credit_title", { account })}
      lead={t("customer.credit_lead")}
      asks={[
        {
          name: "overdraft_limit",
          label: t("customer.credit_limit", { currency }),
          required: true,
          begin: limit === null || limit === undefined ? UNLIMITED : String(limit),
        },
        { name: "until", label: t("acts.until"), kind: "moment" },
        { name: "memo", label: t("customer.memo") },
      ]}
      question={({ overdraft_limit = "", until = "" }) => ({
        title: t("customer.credit_confirm", { account, limit: inWords(overdraft_limit) }),
        lead: until ? t("customer.credit_lead_until", { until: moment(until, new Date()) }) : t("customer.credit_lead"),
      })}
      run={({ overdraft_limit = "", until, memo }, key, again) => {
        const terms = { until: until || undefined, memo: memo || undefined };
        const act = () => override(may, "accounts", account, { overdraft_limit }, terms, { key, again, seen });
        return unlessOther(limit ?? null, limitNow, act, again);
      }}
      said={(_, { overdraft_limit }) => t("customer.credited", { limit: inWords(overdraft_limit) })}
      undo={(undo) => undo}
    />
  );
}

/** What is of the account: gateways, phones, prices, users of the portal. */
function Belongings({ account, isVendor }: { account: string; isVendor: boolean }) {
  const { t } = useTranslation();
  const { may } = useSession();
  const [shown, setShown] = useState("");
  const ofCustomers = [
    { name: "gateways", needs: "GET /mapping-gateways", path: "/mapping-gateways", query: { account } },
    { name: "phones", needs: "GET /phones", path: "/phones", query: { account } },
  ];
  const parts = [
    ...(isVendor ? [] : ofCustomers),
    {
      name: "rates",
      needs: "GET /accounts/{account}/rates",
      path: `/accounts/${encodeURIComponent(account)}/rates`,
      query: {},
    },
    { name: "users", needs: "GET /people", path: "/people", query: { account } },
  ].filter((each) => may.has(each.needs));
  return parts.map(({ name, path, query }) => (
    <details key={name} onToggle={(event) => event.currentTarget.open && setShown(`${shown} ${name}`)}>
      <summary>{t(`customer.${name}`)}</summary>
      {shown.split(" ").includes(name) && <Belonging name={name} path={path} query={query} account={account} />}
    </details>
  ));
}

/** The place that defines an object: the database, or file and line. */
const SOURCE: Column = { name: "source", kind: "state" };
const PART_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  gateways: [{ name: "name", show: (row) => <Defined kind="mapping_gateways" row={row} /> }, SOURCE],
  phones: [{ name: "name", show: (row) => <Defined kind="phones" row={row} /> }, SOURCE],
  rates: [
    { name: "prefix" },
    { name: "area" },
    { name: "price_per_minute", kind: "money" },
    { name: "billing_cycle", kind: "number" },
    { name: "connection_fee", kind: "money" },
    { name: "tax_rate", kind: "number" },
  ],
  users: [{ name: "name" }, { name: "role" }, { name: "state", kind: "state" }, { name: "last_login", kind: "moment" }],
};

const NEW_OBJECTS: Readonly<Record<string, string>> = { gateways: "mapping_gateways", phones: "phones" };

function Belonging({ name, path, query, account }: { name: string; path: string; query: Query; account: string }) {
  const { t } = useTranslation();
  const found = useRows(path, query);
  const kind = NEW_OBJECTS[name];
  return (
    <>
      <ProblemText error={found.error} again={found.again} />
      <Group gap="xs">
        <RowCount of={found} />
        {kind && <NewObject kind={kind} account={account} />}
        {name === "users" && <NewPerson account={account} />}
      </Group>
      <Table
        label={t(`customer.${name}`)}
        columns={PART_COLUMNS[name] ?? []}
        rows={found.rows}
        rowKey={(row, index) => `${row.name ?? row.prefix} ${index}`}
        {...found.table}
      />
    </>
  );
}

function Defined({ kind, row }: { kind: string; row: Row }) {
  return (
    <Link to="/objects/$kind/$name" params={{ kind, name: String(row.name) }}>
      {String(row.name)}
    </Link>
  );
}

const TYPES = ["payment", "adjustment", "refund"] as const;
type Entered = { type: (typeof TYPES)[number]; amount: string; memo: string };
const NOTHING: Entered = { type: "payment", amount: "", memo: "" };
const textOf = ({ type, amount, memo }: Entered) => JSON.stringify([type, amount, memo]);

/** A payment in two steps: what is entered, then what will be booked. The key has a repeat book it once. */
function Pay({ account, currency }: { account: string; currency: string }) {
  const { t } = useTranslation();
  const orders = useOrders();
  const { account: own } = useSession();
  // what an agent books for another account leaves its own one
  const isMoved = own !== null && own !== account;
  const back = useWayBack();
  const word = useStateWord();
  const [entered, setEntered] = useState<Entered | null>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const [asks, setAsks] = useState(false);
  const say = useSay();
  const queries = useQueryClient();
  const inWords = useBooked();
  const unsaved = useUnsaved(Boolean(entered?.amount || entered?.memo));
  const book = useMutation({
    mutationFn: (wanted: Entered) =>
      orders.carryOut(textOf(wanted), (key) =>
        content(
          client.POST("/accounts/{account}/payments", {
            params: { path: { account } },
            headers: { "Idempotency-Key": key },
            body: { ...wanted, memo: wanted.memo || undefined } as never,
          }),
        ),
      ),
    onSuccess: (done) => {
      const booked = inWords(done);
      say(orders.isRepeat ? t("act.repeated", { said: booked }) : booked, back(done));
      setAsks(false);
      setEntered(null);
    },
    onError: (error) => isPageOld(error) && readAgain(queries),
  });
  const check = (event: FormEvent) => {
    event.preventDefault();
    setAsks(true);
  };
  return (
    <>
      <Button ref={opener} size="xs" onClick={() => setEntered(NOTHING)}>
        {t("customer.pay")}
      </Button>
      <Modal
        opened={entered !== null && !asks}
        onClose={() => unsaved.leave(() => setEntered(null))}
        title={`${t("customer.pay")}: ${account}`}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        {entered && (
          <form onSubmit={check}>
            <Stack>
              <AmountInput
                label={t("customer.amount", { currency })}
                data-autofocus
                required
                mayBeNegative={entered.type === "adjustment"}
                value={entered.amount}
                onChange={(event) => setEntered({ ...entered, amount: event.currentTarget.value })}
              />
              <TextInput
                label={t("customer.memo")}
                value={entered.memo}
                onChange={(event) => setEntered({ ...entered, memo: event.currentTarget.value })}
              />
              {/* agents book payments alone */}
              {own === null && (
                <NativeSelect
                  label={t("column.type")}
                  description={t("customer.type_hint")}
                  data={TYPES.map((type) => ({ value: type, label: word(type) }))}
                  value={entered.type}
                  onChange={(event) => setEntered({ ...entered, type: event.currentTarget.value as Entered["type"] })}
                />
              )}
              <Button type="submit">{t("customer.check")}</Button>
            </Stack>
          </form>
        )}
      </Modal>
      {unsaved.question}
      <Confirm
        opened={asks}
        opener={opener}
        title={
          isMoved
            ? t("payments.move_title", {
                amount: `${amount(entered?.amount ?? "")} ${currency}`,
                source: own,
                target: account,
              })
            : t(`customer.confirm_${entered?.type ?? "payment"}`, {
                amount: amount(entered?.amount ?? ""),
                currency,
                account,
              })
        }
        lead={t(isMoved ? "payments.move_lead" : "customer.confirm_lead")}
        act={t("customer.book")}
        isAtWork={book.isPending}
        error={book.error}
        mayBeDone={entered !== null && orders.mayBeDone(textOf(entered))}
        mayOtherBeDone={entered !== null && orders.mayOtherBeDone(textOf(entered))}
        onAct={() => entered && book.mutate(entered)}
        onClose={() => {
          setAsks(false);
          book.reset();
        }}
      />
    </>
  );
}

function Block({ account, row }: { account: string; row: Row }) {
  const { t } = useTranslation();
  return (
    <BlockOf
      target="accounts"
      name={account}
      // one that is closed or disabled is without calls, too, by something else
      isBlocked={row.blocked_since !== undefined}
      since={row.blocked_since as string | undefined}
      title={t("customer.block_title", { account })}
      lead={t(row.type === CLEARING ? "customer.block_vendor" : "customer.block_lead")}
      incoming={row.type === CLEARING ? undefined : t("customer.block_incoming")}
      blocked={t("customer.blocked", { account })}
      unblocked={t("customer.unblocked", { account })}
    />
  );
}

/** A question whether to block: the state that was shown when it was opened, and its orders. */
interface BlockQuestion {
  seen: readonly Row[];
  orders: Orders;
}

/** A block, asked about before it is set; it and its end say what they did, and are undone. */
export function BlockOf(props: {
  target: "accounts" | "gateways";
  name: string;
  isBlocked: boolean;
  /** Begin of the block that the page shows: it ends that one alone. */
  since?: string;
  /** Overrides that the page shows; none of an account that is not blocked. */
  seen?: readonly Row[];
  title: string;
  lead: string;
  /** The choice of refusing calls to its phones and numbers, too, where there is one. */
  incoming?: string;
  blocked: string;
  unblocked: string;
}) {
  const { t } = useTranslation();
  const { may } = useSession();
  const say = useSay();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<BlockQuestion | null>(null);
  const [incoming, setIncoming] = useState(false);
  const blocked = incoming ? INCOMING : "yes";
  const change = useMutation({
    // by a question it is set, without one it ends; one that is asked later is another order
    mutationFn: (question: BlockQuestion | null) =>
      question
        ? question.orders.carryOut(blocked, (key, again) =>
            override(may, props.target, props.name, { blocked }, {}, { key, again, seen: question.seen }),
          )
        : cleared(may, props.target, props.name, "blocked", { since: props.since }),
    onSuccess: (undo, question) => {
      setAsked(null);
      const said = question ? props.blocked : props.unblocked;
      say(question?.orders.isRepeat ? t("act.repeated", { said }) : said, undo);
    },
    // the page shows the block that a colleague has set meanwhile
    onError: (error) => isPageOld(error) && readAgain(queries),
  });
  return (
    <>
      <OrderButton
        size="xs"
        variant="default"
        isAtWork={change.isPending}
        onClick={() => {
          if (props.isBlocked) return change.mutate(null);
          setIncoming(false);
          change.reset();
          setAsked({ seen: props.seen ?? [], orders: new Orders() });
        }}
      >
        {t(props.isBlocked ? "customer.unblock" : "customer.block")}
      </OrderButton>
      {!asked && <ProblemText error={change.error} />}
      <Confirm
        opened={asked !== null}
        title={props.title}
        lead={
          <Stack>
            {props.lead}
            {props.incoming !== undefined && (
              <Checkbox
                label={props.incoming}
                checked={incoming}
                disabled={change.isPending}
                onChange={(event) => setIncoming(event.currentTarget.checked)}
              />
            )}
          </Stack>
        }
        act={t("customer.block")}
        isAtWork={change.isPending}
        error={change.error}
        mayBeDone={asked?.orders.mayBeDone(blocked)}
        mayOtherBeDone={asked?.orders.mayOtherBeDone(blocked)}
        onAct={() => asked && change.mutate(asked)}
        onClose={() => setAsked(null)}
      />
    </>
  );
}
