/** Change an object in two steps: a trial that says in words what it does, then the change itself. */

import { Alert, Button, Group, Modal, Stack, Table, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useCallback, useEffect, useRef, useState } from "react";
import { readAgain } from "../api/again";
import { ifVersion, Problem, type Query, type Schemas, send } from "../api/client";
import { useOrders } from "../api/orders";
import { Confirm } from "../parts/confirm";
import { useRescue } from "../parts/focus";
import { MomentInput } from "../parts/minute";
import { OrderButton } from "../parts/orderbutton";
import { ProblemText } from "../parts/problem";
import { Simulate, type Tried } from "../parts/simulation";
import { type Change, ChangeWords, useSay } from "../parts/trial";
import { TryCall } from "../parts/trycall";
import { useUnsaved } from "../parts/unsaved";
import { useSession } from "../session";
import { kindIn, readMeanings, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { Form } from "./form";
import { withHours } from "./hours";
import {
  beside,
  cleaned,
  conflicting,
  isSame,
  itemsOf,
  type Keys,
  type Kind,
  type Mistakes,
  merged,
  mistakesOf,
  pathOf,
  shown,
  undeclared,
} from "./keys";
import { Planned } from "./planned";
import { readObjectAt } from "./versions";
import { Week } from "./week";

type Sheet = Schemas["DefinitionSheet"];

const HTTP_NOT_FOUND = 404;
const HTTP_STALE = 412;
const NONE: Mistakes = new Map();
const NO_KEYS: Keys = {};
const NOTHING: readonly Tried[] = [];

/** The declaration of a kind of objects, in the language of the console. */
export function useKind(kind: string, enabled = true) {
  const { i18n } = useTranslation();
  const { language } = i18n;
  return useQuery({
    queryKey: ["kind", kind, language],
    queryFn: async () => {
      const declared = send<Kind>("get", `/definitions/${encodeURIComponent(kind)}`);
      return kindIn(await declared, await readMeanings(language));
    },
    staleTime: Number.POSITIVE_INFINITY,
    enabled,
  });
}

export const placeOf = (kind: string, name: string) => `${pathOf(kind)}/${encodeURIComponent(name)}`;

interface EditorProps {
  declared: Kind;
  /** The object as it is; without one it is made. */
  sheet?: Sheet;
  /** The object as it was read last; of another version where a person has typed before that was read. */
  newest?: Sheet;
  /** Keys that a new object begins with. */
  begin?: Keys;
  isReadOnly: boolean;
  /** Receives whether it holds what is not saved. */
  onChanged?: (isChanged: boolean) => void;
  onDone: (name: string) => void;
}

/**
 * What takes a change back; made here, it knows no more than it needs: no passwords that were entered. An account that
 * was made and has got money or calls since does not end by that: nothing is confirmed that no one was asked about.
 */
function undoOf(of: {
  kind: string;
  place: string;
  saved: number | null | undefined;
  before: number | null;
  at: string;
}) {
  const headers = ifVersion(of.saved);
  const onlyOurs = { query: { confirm: true }, headers };
  const terms = of.at ? { at: of.at } : {};
  return of.before === null
    ? () => send("delete", of.place, of.kind === "accounts" ? { headers } : onlyOurs)
    : () => send("post", `${of.place}/revert`, { ...onlyOurs, body: { version: of.before, ...terms } });
}

export function Editor({ declared, sheet, newest, begin, isReadOnly, onChanged, onDone }: EditorProps) {
  const { t } = useTranslation();
  const { account } = useSession();
  const say = useSay();
  const queries = useQueryClient();
  const inLanguage = useServerText();
  const [base, setBase] = useState<Keys>((sheet?.keys as Keys) ?? {});
  const [version, setVersion] = useState(sheet?.version ?? null);
  const [values, setValues] = useState<Keys>(sheet ? base : (begin ?? NO_KEYS));
  const [generation, setGeneration] = useState(0);
  const [name, setName] = useState(sheet?.name ?? "");
  const [at, setAt] = useState("");
  const [memo, setMemo] = useState("");
  const [mistakes, setMistakes] = useState<Mistakes>(NONE);
  const orders = useOrders();
  const [trial, setTrial] = useState<Change | null>(null);
  const [asks, setAsks] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const [theirs, setTheirs] = useState<Sheet | null>(null);
  useRescue(theirs !== null, opener);
  const kind = declared.kind;
  const isOfCalls = kind !== "reports";
  const loaded = sheet ? base : (begin ?? NO_KEYS);
  const keys = cleaned(declared.keys, values, loaded);
  const isChanged = !isSame(cleaned(declared.keys, values), cleaned(declared.keys, loaded)) || (!sheet && name !== "");
  const tried: Tried[] = [{ action: sheet ? "replace" : "create", kind, name, keys }];
  const unsaved = useUnsaved(isChanged && !isReadOnly);
  useEffect(() => onChanged?.(isChanged && !isReadOnly), [isChanged, isReadOnly, onChanged]);
  const change = useCallback((key: string, value: unknown) => setValues((before) => ({ ...before, [key]: value })), []);

  const note = (errors: Problem["errors"]) => setMistakes(mistakesOf(kind, name, errors, inLanguage));

  /** Show the mistakes of a trial, in place of what an earlier order was refused for. */
  const noteAlone = (errors: Problem["errors"]) => {
    order.reset();
    note(errors);
  };

  const drawHours = (weekday: string, from: string, to: string) =>
    change("entries", withHours(itemsOf(values.entries) as Keys[], weekday, from, to));

  const terms = { memo: memo || undefined, at: at || undefined };
  const text = JSON.stringify([version, name, keys, terms]);
  const ordered = (query: Query, headers?: Record<string, string>) =>
    sheet
      ? send<Change>("put", placeOf(kind, sheet.name), {
          query,
          body: { keys, ...terms },
          headers: { ...ifVersion(version), ...headers },
        })
      : send<Change>("post", pathOf(kind), { query, body: { name, keys, ...terms }, headers });
  const order = useMutation({
    /** `tried` is the text of what a trial is about; null = the order itself. */
    mutationFn: (tried: string | null) =>
      tried !== null
        ? ordered({ dry_run: true })
        : // running calls go on with what they began with: the trial has said how many
          orders.carryOut(text, (key) => ordered({ confirm: true }, { "Idempotency-Key": key })),
    onMutate: () => setMistakes(NONE),
    onSuccess: (made, tried) => {
      if (tried !== null) {
        // the question is about all that will be saved, also what was typed during the trial
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
      const saved = made.changes[0]?.version;
      const undo = undoOf({ kind, place: placeOf(kind, name), saved, before: sheet ? version : null, at });
      const said = t(sheet ? "object.saved" : "object.made", { name, version: saved ?? "" });
      say(orders.isRepeat ? t("act.repeated", { said }) : said, at && !sheet ? undefined : undo, made);
      onDone(name);
      if (!sheet) return;
      if (!at) {
        // what is typed before the object is read again is a change of what was saved
        setBase(keys);
        setVersion(saved ?? version);
        return;
      }
      beginAgain();
    },
    onError: async (error) => {
      if (orders.mayBeDone(text)) return;
      setAsks(false);
      if (!(error instanceof Problem)) return;
      // an object that has ended meanwhile has no version to compare with: the message of the refusal stays
      if (error.status === HTTP_STALE) setTheirs(await readObjectAt(placeOf(kind, name), terms.at).catch(() => null));
      else if (error.status === HTTP_NOT_FOUND) readAgain(queries);
      else if (error.errors.length > 0) note(error.errors);
      else if (error.field) note([{ field: error.field, detail: error.message }]);
    },
  });
  const beginWith = (of: Sheet, taken: Keys) => {
    setBase((of.keys as Keys) ?? {});
    setVersion(of.version ?? null);
    setValues(taken);
    setGeneration(generation + 1);
  };
  /** Show what holds now, which a planned change is not, nor a planned version that it was laid over. */
  const beginAgain = () => {
    const now = newest ?? sheet;
    if (now) beginWith(now, (now.keys as Keys) ?? {});
    setAt("");
    setMemo("");
  };
  /** Go on with another version under what was changed here. */
  const goOn = (taken: Keys | null) => {
    if (!theirs) return;
    if (taken) beginWith(theirs, taken);
    else beginAgain();
    setTheirs(null);
    order.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // a trial would find what the order has saved, if it was carried out, and take it for another person's: its repeat says so
    if (orders.mayBeDone(text)) setAsks(true);
    else order.mutate(text);
  };
  const named = declared.named?.name ?? "";
  const unseen = ["", ...(sheet ? [named] : []), ...undeclared(declared.keys, values)];
  const elsewhere = beside(mistakes, unseen);
  const count = [...mistakes.keys()].filter((place) => !unseen.includes(place)).length;
  return (
    <form onSubmit={submit} noValidate={false}>
      <Stack gap="sm">
        {!sheet && (
          <TextInput
            maw={360}
            label={declared.named?.name ?? t("column.name")}
            description={declared.named?.meaning}
            required
            autoFocus
            value={name}
            error={named && mistakes.get(named)}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        )}
        <Form
          key={generation}
          declared={declared}
          values={values}
          mistakes={mistakes}
          isReadOnly={isReadOnly}
          onChange={change}
        />
        {kind === "calendars" && <Week name={name} keys={keys} onHours={isReadOnly ? undefined : drawHours} />}
        {kind === "routing_plans" && !account && (
          <Planned name={name} isStored={Boolean(sheet)} objects={isChanged && !isReadOnly ? tried : NOTHING} />
        )}
        {mistakes.size > 0 && (
          <Alert color="red" variant="outline" role="alert" title={count > 0 && t("form.mistakes", { count })} p={6}>
            {elsewhere}
          </Alert>
        )}
        {mistakes.size === 0 && !theirs && <ProblemText error={order.error} />}
        {isChanged && newest && (newest.version ?? 0) > (version ?? 0) && (
          <Alert variant="outline" role="status" p={6}>
            {t("conflict.newer", { who: newest.operator ?? "–", version: newest.version ?? "–" })}
          </Alert>
        )}
        {!isReadOnly && (
          <Group align="end" gap="xs">
            <TextInput
              size="xs"
              label={t("object.memo")}
              value={memo}
              onChange={(event) => setMemo(event.currentTarget.value)}
            />
            {!account && <MomentInput size="xs" label={t("object.at")} value={at} onChange={setAt} />}
            <OrderButton ref={opener} type="submit" size="xs" isAtWork={order.isPending} disabled={!isChanged}>
              {t("object.check")}
            </OrderButton>
            {!account && isOfCalls && (
              <Simulate disabled={!isChanged || !name} objects={tried} onMistakes={noteAlone} />
            )}
          </Group>
        )}
        {kind !== "routing_plans" && isOfCalls && !isReadOnly && !account && name && <TryCall objects={tried} />}
      </Stack>
      {unsaved.question}
      <Confirm
        opened={asks}
        opener={opener}
        title={t(sheet ? "object.confirm" : "object.confirm_new", { name })}
        lead={trial && <ChangeWords change={trial} />}
        act={t("object.save")}
        isAtWork={order.isPending}
        error={order.error}
        mayBeDone={orders.mayBeDone(text)}
        onAct={() => order.mutate(null)}
        onClose={() => setAsks(false)}
      />
      {theirs && (
        <Conflict
          theirs={theirs}
          base={base}
          mine={keys}
          isOfPlan={at !== "" || (theirs.version ?? 0) < (version ?? 0)}
          onTake={goOn}
          onDrop={() => goOn(at ? null : ((theirs.keys as Keys) ?? {}))}
          onClose={() => {
            setTheirs(null);
            order.reset();
          }}
        />
      )}
    </form>
  );
}

/** Both versions, where another person has changed the object meanwhile, or another version holds when it is changed. */
function Conflict({
  theirs,
  base,
  mine,
  isOfPlan,
  onTake,
  onDrop,
  onClose,
}: {
  theirs: Sheet;
  base: Keys;
  mine: Keys;
  /** Whether a planned version is one of the two: no person needs to have done anything meanwhile. */
  isOfPlan: boolean;
  onTake: (keys: Keys) => void;
  onDrop: () => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const { name } = useSession();
  const now = (theirs.keys as Keys) ?? {};
  const together = merged(base, now, mine);
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={t(isOfPlan ? "conflict.title_plan" : theirs.operator === name ? "conflict.title_own" : "conflict.title")}
      closeButtonProps={{ "aria-label": t("act.close") }}
    >
      <Stack>
        <span>
          {t(isOfPlan ? "conflict.lead_plan" : "conflict.lead", {
            who: theirs.operator ?? "–",
            version: theirs.version ?? "–",
            memo: theirs.memo ?? "",
          })}
        </span>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t("conflict.key")}</Table.Th>
              <Table.Th>{t("conflict.before")}</Table.Th>
              <Table.Th>{t(isOfPlan ? "conflict.theirs_plan" : "conflict.theirs")}</Table.Th>
              <Table.Th>{t("conflict.mine")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {conflicting("", base, now, together.keys).map(([place, before, after, here]) => (
              <Table.Tr key={place}>
                <Table.Th scope="row">{place}</Table.Th>
                <Table.Td>{shown(before) || "–"}</Table.Td>
                <Table.Td>{shown(after) || "–"}</Table.Td>
                <Table.Td>
                  {isSame(after, here) ? (
                    <span className="quiet">{t(isOfPlan ? "conflict.as_theirs_plan" : "conflict.as_theirs")}</span>
                  ) : (
                    shown(here) || "–"
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {isSame(base, now) && <span>{t("conflict.unseen")}</span>}
        {together.both.length > 0 && <span>{t("conflict.both", { keys: together.both.join(", ") })}</span>}
        <Group justify="flex-end">
          <Button variant="default" onClick={onDrop}>
            {t("conflict.take_theirs")}
          </Button>
          <Button onClick={() => onTake(together.keys)}>{t("conflict.together")}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
