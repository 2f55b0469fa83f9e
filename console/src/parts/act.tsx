/** One order to the switch: a button, a dialog with its fields, and what it did. */

import {
  Button,
  Code,
  Group,
  type MantineSize,
  Modal,
  MultiSelect,
  NativeSelect,
  PasswordInput,
  Stack,
  Textarea,
  TextInput,
} from "@mantine/core";
import { skipToken, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, type RefObject, useRef, useState } from "react";
import { readAgain } from "../api/again";
import { Problem } from "../api/client";
import { isPageOld, type Orders, useOrders } from "../api/orders";
import { useSession } from "../session";
import { useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { AmountInput } from "./amountinput";
import { Confirm } from "./confirm";
import { Copy } from "./copy";
import { useDialog, useOpened } from "./dialogs";
import { useRescue } from "./focus";
import { useForgotten } from "./forgotten";
import { MomentInput } from "./minute";
import { Opener } from "./opener";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";
import { useSay } from "./trial";
import { useUnsaved } from "./unsaved";

/** What was entered, by field; several choices have commas between them. */
export type Entered = Record<string, string>;

/** Choices that are read when the dialog is open: it keeps what its button has given it, which may know them later. */
export interface ReadChoices {
  key: string;
  read: () => Promise<readonly string[]>;
}

export interface Asked {
  name: string;
  label: string;
  kind?: "text" | "secret" | "amount" | "choice" | "choices" | "moment" | "lines";
  choices?: readonly string[] | ReadChoices;
  /** The group of texts with a word for each choice, which stands before its name. */
  words?: "permission" | "role";
  required?: boolean;
  begin?: string;
  hint?: ReactNode;
}

interface ActProps<Result> {
  /** The operation of the API; who may not do it sees no button. */
  needs: string;
  act: string;
  title: string;
  /** The object of the order in its key; the title, unless that has figures which the order itself changes. */
  object?: string;
  lead?: ReactNode;
  isDanger?: boolean;
  isSmall?: boolean;
  disabled?: boolean;
  size?: MantineSize;
  asks?: readonly Asked[];
  /** The second step of what costs money: a question with what was entered in it. */
  question?: (entered: Entered) => { title: string; lead: ReactNode };
  /** The key has a repeat change nothing more; `again` is the same where this is one, because the answer was lost. */
  run: (entered: Entered, key: string, again?: string) => Promise<Result>;
  said: (result: Result, entered: Entered) => string;
  undo?: (result: Result, entered: Entered) => (() => Promise<unknown>) | undefined;
  /** A secret of the answer, which is shown this once. */
  secret?: (result: Result) => string;
}

const NONE: readonly Asked[] = [];

export function Act<Result>(props: ActProps<Result>) {
  const { may } = useSession();
  return may.has(props.needs) ? <AllowedAct {...props} /> : null;
}

function AllowedAct<Result>(props: ActProps<Result>) {
  const show = useDialog();
  const orders = useOrders();
  const opener = useRef<HTMLButtonElement>(null);
  return (
    <Opener
      ref={opener}
      act={props.act}
      size={props.isSmall ? "compact-xs" : "xs"}
      variant="default"
      c={props.isDanger ? "var(--bad)" : undefined}
      disabled={props.disabled}
      onOpen={() => show(<ActDialog {...props} orders={orders} opener={opener} />)}
    />
  );
}

function ActDialog<Result>({
  orders,
  opener,
  ...props
}: ActProps<Result> & { orders: Orders; opener: RefObject<HTMLButtonElement | null> }) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const say = useSay();
  const queries = useQueryClient();
  const asks = props.asks ?? NONE;
  const [isOpen, setOpen] = useOpened();
  const [entered, setEntered] = useState<Entered>(() =>
    Object.fromEntries(asks.map((ask) => [ask.name, ask.begin ?? ""])),
  );
  const [secret, setSecret] = useState("");
  const [isChecked, setChecked] = useState(false);
  const isSent = useRef(false);
  useForgotten(isOpen || secret !== "");
  useRescue(secret !== "", opener);
  const isChanged = isOpen && asks.some((ask) => (entered[ask.name] ?? "") !== (ask.begin ?? ""));
  const unsaved = useUnsaved(isChanged);
  const open = asks.filter((ask) => ask.kind !== "secret").map((ask) => entered[ask.name]);
  const text = JSON.stringify([props.object ?? props.title, ...open]);
  const order = useMutation({
    mutationFn: () => orders.carryOut(text, (key, again) => props.run(entered, key, again)),
    onSuccess: (result) => {
      unsaved.saved();
      setOpen(false);
      setChecked(false);
      setEntered({});
      const said = props.said(result, entered);
      say(orders.isRepeat ? t("act.repeated", { said }) : said, props.undo?.(result, entered), result);
      if (props.secret) setSecret(props.secret(result));
      order.reset(); // it has what was entered
    },
    onError: (error) => {
      isSent.current = false;
      setChecked(false);
      // the dialog is opened again with what holds now
      if (isPageOld(error)) readAgain(queries);
    },
  });
  const close = () => {
    // what comes of the order is said here
    if (order.isPending) return;
    unsaved.leave(() => {
      setOpen(false);
      setEntered({});
      order.reset();
    });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (props.question) setChecked(true);
    else send();
  };
  const send = () => {
    // a second press may come before the button is drawn as busy
    if (isSent.current) return;
    isSent.current = true;
    order.mutate();
  };
  const problem = order.error instanceof Problem ? order.error : null;
  const wrong = asks.find((ask) => problem?.field.split(".").at(-1) === ask.name)?.name;
  return (
    <>
      <Modal
        opened={isOpen && !isChecked}
        onClose={close}
        title={props.title}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        <form onSubmit={submit}>
          <Stack>
            {props.lead && <div>{props.lead}</div>}
            {asks.map((ask, index) => (
              <AskedField
                key={ask.name}
                ask={ask}
                isFirst={index === 0}
                value={entered[ask.name] ?? ""}
                error={wrong === ask.name && problem ? inLanguage(problem.message) : undefined}
                onChange={(value) => setEntered((before) => ({ ...before, [ask.name]: value }))}
              />
            ))}
            {!wrong && <ProblemText error={order.error} />}
            {!props.question && orders.mayOtherBeDone(text) && <span role="note">{t("act.lost_other")}</span>}
            {order.error && orders.mayBeDone(text) && <span>{t("act.lost", { act: props.act })}</span>}
            <Group justify="flex-end">
              <Button
                variant="default"
                onClick={close}
                disabled={order.isPending}
                data-autofocus={asks.length === 0 || undefined}
              >
                {t("act.cancel")}
              </Button>
              <OrderButton type="submit" color={props.isDanger ? "red" : undefined} isAtWork={order.isPending}>
                {props.question ? t("customer.check") : props.act}
              </OrderButton>
            </Group>
          </Stack>
        </form>
      </Modal>
      {props.question && (
        <Confirm
          opened={isChecked}
          opener={isOpen ? undefined : opener}
          {...props.question(entered)}
          act={props.act}
          isAtWork={order.isPending}
          error={null}
          mayOtherBeDone={orders.mayOtherBeDone(text)}
          onAct={send}
          onClose={() => setChecked(false)}
        />
      )}
      {unsaved.question}
      <Modal
        opened={secret !== ""}
        onClose={() => setSecret("")}
        closeOnClickOutside={false} // it does not come again
        title={t("act.once")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        <Stack>
          <Code block>{secret}</Code>
          <Group justify="flex-end">
            <Copy text={secret} />
            <Button onClick={() => setSecret("")}>{t("act.close")}</Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function AskedField({
  ask,
  isFirst,
  value,
  error,
  onChange,
}: {
  ask: Asked;
  isFirst: boolean;
  value: string;
  error: string | undefined;
  onChange: (value: string) => void;
}) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const from = ask.choices && "read" in ask.choices ? ask.choices : undefined;
  const found = useQuery({ queryKey: ["choices", from?.key], queryFn: from ? from.read : skipToken });
  const common = {
    label: ask.label,
    description: ask.hint,
    required: ask.required,
    error: error ?? (found.error ? inLanguage(found.error.message) : undefined),
    "data-autofocus": isFirst || undefined,
  };
  const given = ask.choices && !("read" in ask.choices) ? ask.choices : found.data;
  const names = given ?? (value ? value.split(",") : []);
  const choices = names.map((name) => {
    const word = ask.words ? t([`${ask.words}.${name}`], { defaultValue: name }) : name;
    return { value: name, label: word === name ? name : `${word} (${name})` };
  });
  switch (ask.kind) {
    case "choice":
      return (
        <NativeSelect
          {...common}
          data={[{ value: "", label: "–" }, ...choices]}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      );
    case "choices":
      return (
        <MultiSelect
          {...common}
          data={choices}
          value={value ? value.split(",") : []}
          onChange={(chosen) => onChange(chosen.join(","))}
          searchable
          hidePickedOptions
          nothingFoundMessage={t("state.empty")}
        />
      );
    case "secret":
      return (
        <PasswordInput
          {...common}
          visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
          autoComplete="new-password"
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      );
    case "moment":
      return <MomentInput {...common} isEnd value={value} onChange={onChange} />;
    case "lines":
      return (
        <Textarea
          {...common}
          rows={2}
          placeholder={t("form.lines")}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      );
    case "amount":
      return <AmountInput {...common} value={value} onChange={(event) => onChange(event.currentTarget.value)} />;
    default:
      return <TextInput {...common} value={value} onChange={(event) => onChange(event.currentTarget.value)} />;
  }
}

/** Lines that were entered, without empty ones. */
export function entryLines(value: string | undefined): string[] {
  return (value ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
