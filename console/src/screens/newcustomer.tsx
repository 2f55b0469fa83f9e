/** A new customer in one form: account, rates, gateways or phones, first payment; all of it or nothing. */

import { Alert, Button, Group, Stack, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useCallback, useRef, useState } from "react";
import { Problem, type Schemas, send } from "../api/client";
import { useOrders } from "../api/orders";
import { amount } from "../format";
import { useKind } from "../forms/editor";
import { Remove } from "../forms/fields";
import { Form } from "../forms/form";
import { cleaned, type Keys, type Kind, type Mistakes, mistakesOf } from "../forms/keys";
import { AmountInput } from "../parts/amountinput";
import { Confirm } from "../parts/confirm";
import { OrderButton } from "../parts/orderbutton";
import { Page } from "../parts/page";
import { ProblemText, Reading } from "../parts/problem";
import { ChangeWords, useSay } from "../parts/trial";
import { useUnsaved } from "../parts/unsaved";
import { useMay, useSession } from "../session";
import { ServerText, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

type Made = Schemas["CustomerSheet"];

interface Part {
  kind: "mapping_gateways" | "phones";
  name: string;
  keys: Keys;
}

const FIRST_OF_ACCOUNT = [
  "template",
  "agent",
  "rate_group",
  "currency",
  "overdraft_limit",
  "max_concurrent",
  "name",
  "contact",
];
const FIRST_OF_GATEWAY = ["hosts", "template", "max_concurrent", "auth"];
const FIRST_OF_PHONE = ["username", "password", "template"];
const OWNER = ["account"];
const NO_MISTAKES: Mistakes = new Map();

export function NewCustomerScreen() {
  const { t } = useTranslation();
  const accounts = useKind("accounts");
  const gateways = useKind("mapping_gateways");
  const phones = useKind("phones");
  const unread = [accounts, gateways, phones].find(({ isSuccess }) => !isSuccess);
  return (
    <Page title={t("customers.new")} needs={["POST /customers", "GET /definitions/{kind}"]}>
      {unread && <Reading of={unread} />}
      {accounts.data && gateways.data && phones.data && (
        <Customer kinds={{ accounts: accounts.data, mapping_gateways: gateways.data, phones: phones.data }} />
      )}
    </Page>
  );
}

/**
 * What takes a customer away again: all its objects or none, and only as they were made. There is none once money was
 * booked, and it is refused where another person has booked some since, or calls run: nothing is confirmed that no one
 * was asked about. Nothing of the form is in its reach: that may hold passwords.
 */
function wayBack({ changes, payment }: Made) {
  if (payment) return undefined;
  const objects = changes.map(({ kind, name, version }) => ({ action: "delete", kind, name, if_version: version }));
  return () => send("post", "/bulk", { body: { objects } });
}

function Customer({ kinds }: { kinds: { accounts: Kind; mapping_gateways: Kind; phones: Kind } }) {
  const { t } = useTranslation();
  const say = useSay();
  const go = useNavigate();
  const { account: acting } = useSession();
  // agents make the customer, then move money to it
  const mayPay = useMay("POST /accounts/{account}/payments") && !acting;
  const mayUndo = useMay("POST /bulk");
  const [name, setName] = useState("");
  const [keys, setKeys] = useState<Keys>({});
  const [parts, setParts] = useState<readonly Part[]>([]);
  const [payment, setPayment] = useState({ amount: "", memo: "" });
  const [memo, setMemo] = useState("");
  const orders = useOrders();
  const [trial, setTrial] = useState<Made | null>(null);
  const [asks, setAsks] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const inLanguage = useServerText();
  const [mistakes, setMistakes] = useState<readonly { field: string; detail: string }[]>([]);
  const isChanged =
    [name, memo, payment.amount, payment.memo].some(Boolean) || parts.length > 0 || Object.keys(keys).length > 0;
  const unsaved = useUnsaved(isChanged);
  const change = useCallback((key: string, value: unknown) => setKeys((before) => ({ ...before, [key]: value })), []);
  const titleOf = ({ kind }: Part, index: number) =>
    t(kind === "phones" ? "customers.phone" : "customers.gateway", { number: index + 1 });
  const setPart = (index: number, part: Part) => setParts(parts.map((each, at) => (at === index ? part : each)));
  const of = (kind: Part["kind"]) =>
    parts
      .filter((each) => each.kind === kind)
      .map((each) => ({ name: each.name, keys: cleaned(kinds[kind].keys, each.keys) }));

  const body = {
    account: name,
    keys: cleaned(kinds.accounts.keys, keys),
    mapping_gateways: of("mapping_gateways"),
    phones: of("phones"),
    payment: payment.amount ? { amount: payment.amount, memo: payment.memo || undefined } : undefined,
    memo: memo || undefined,
  };
  const text = JSON.stringify(body);
  const order = useMutation({
    /** `tried` is the text of what a trial is about; null = the order itself. */
    mutationFn: (tried: string | null) =>
      tried !== null
        ? send<Made>("post", "/customers", { query: { dry_run: true }, body })
        : orders.carryOut(text, (key) =>
            send<Made>("post", "/customers", { headers: { "Idempotency-Key": key }, body }),
          ),
    onMutate: () => setMistakes([]),
    onSuccess: (made, tried) => {
      if (tried !== null) {
        // the question is about all that will be made, also what was typed during the trial
        if (tried !== text) {
          order.mutate(text);
          return;
        }
        setTrial(made);
        setAsks(true);
        return;
      }
      setAsks(false);
      unsaved.saved();
      const said = t("customers.made", { name });
      say(orders.isRepeat ? t("act.repeated", { said }) : said, mayUndo ? wayBack(made) : undefined, made);
      void go({ to: "/accounts/$name", params: { name } });
    },
    onError: (error) => {
      if (orders.mayBeDone(text)) return;
      setAsks(false);
      if (!(error instanceof Problem)) return;
      setMistakes(
        error.errors.length > 0 ? error.errors : error.field ? [{ field: error.field, detail: error.message }] : [],
      );
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // a trial would find what the order has made, if it was carried out: its repeat says so
    if (orders.mayBeDone(text)) setAsks(true);
    else order.mutate(text);
  };
  // `keys.password` is of one of the objects, which the words of the mistake name
  const placed = mistakes.filter(({ field }) => !field.startsWith("keys."));
  const mine = (kind: string, of: string) =>
    placed.length > 0 ? mistakesOf(kind, of, placed, inLanguage) : NO_MISTAKES;
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput
          maw={360}
          label={t("customers.account")}
          description={kinds.accounts.named?.meaning}
          required
          autoFocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Form
          declared={kinds.accounts}
          values={keys}
          mistakes={mine("accounts", name)}
          first={FIRST_OF_ACCOUNT}
          onChange={change}
        />
        {parts.map((part, index) => (
          <section key={index} className="part">
            <Title order={2} size="h4">
              {titleOf(part, index)}
            </Title>
            <TextInput
              maw={360}
              label={kinds[part.kind].named?.name}
              description={kinds[part.kind].named?.meaning}
              required
              value={part.name}
              onChange={(event) => setPart(index, { ...part, name: event.currentTarget.value })}
            />
            <Form
              declared={kinds[part.kind]}
              values={part.keys}
              mistakes={mine(part.kind, part.name)}
              first={part.kind === "phones" ? FIRST_OF_PHONE : FIRST_OF_GATEWAY}
              without={OWNER}
              onChange={(name, value) => setPart(index, { ...part, keys: { ...part.keys, [name]: value } })}
            />
            <Remove of={titleOf(part, index)} onRemove={() => setParts(parts.filter((_, at) => at !== index))} />
          </section>
        ))}
        <Group gap="xs">
          <Button
            size="xs"
            variant="default"
            onClick={() => setParts([...parts, { kind: "mapping_gateways", name: "", keys: {} }])}
          >
            {t("customers.add_gateway")}
          </Button>
          <Button
            size="xs"
            variant="default"
            onClick={() => setParts([...parts, { kind: "phones", name: "", keys: {} }])}
          >
            {t("customers.add_phone")}
          </Button>
        </Group>
        {mayPay && (
          <Group align="end" gap="xs">
            <AmountInput
              size="xs"
              label={t("customers.payment")}
              value={payment.amount}
              onChange={(event) => setPayment({ ...payment, amount: event.currentTarget.value })}
            />
            <TextInput
              size="xs"
              label={t("customers.payment_memo")}
              value={payment.memo}
              onChange={(event) => setPayment({ ...payment, memo: event.currentTarget.value })}
            />
          </Group>
        )}
        {mistakes.length > 0 ? (
          <Alert
            color="red"
            variant="outline"
            role="alert"
            title={t("form.mistakes", { count: mistakes.length })}
            p={6}
          >
            <ul className="words">
              {mistakes.map((each) => (
                <li key={each.field + each.detail}>
                  <ServerText text={each.detail} />
                </li>
              ))}
            </ul>
          </Alert>
        ) : (
          <ProblemText error={order.error} />
        )}
        <Group align="end" gap="xs">
          <TextInput
            size="xs"
            label={t("object.memo")}
            value={memo}
            onChange={(event) => setMemo(event.currentTarget.value)}
          />
          <OrderButton ref={opener} type="submit" size="xs" isAtWork={order.isPending} disabled={!name}>
            {t("object.check")}
          </OrderButton>
        </Group>
      </Stack>
      {unsaved.question}
      <Confirm
        opened={asks}
        opener={opener}
        title={t("object.confirm_new", { name })}
        lead={
          trial && (
            <>
              <ChangeWords change={trial} />
              {trial.payment && (
                <p>
                  {t("customers.pays", {
                    amount: amount(trial.payment.amount),
                    currency: trial.payment.currency ?? "",
                    outcome: t(`customers.payment_${trial.payment.outcome}`),
                  })}
                </p>
              )}
            </>
          )
        }
        act={t("customers.make")}
        isAtWork={order.isPending}
        error={order.error}
        mayBeDone={orders.mayBeDone(text)}
        onAct={() => order.mutate(null)}
        onClose={() => setAsks(false)}
      />
    </form>
  );
}
