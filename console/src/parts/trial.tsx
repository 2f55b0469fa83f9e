/** What a change of objects does, in words; and what it did, with the way back. */

import { Alert, Button, Group } from "@mantine/core";
import { skipToken, useQuery, useQueryClient } from "@tanstack/react-query";
import { readAgain } from "../api/again";
import type { Schemas } from "../api/client";
import { present } from "../api/clock";
import { ServerText, useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { KeyWords } from "./keywords";
import { useUndo } from "./undo";
import { Moment } from "./values";

export type Change = Schemas["ChangeSheet"];

/** A change that begins at once must not seem to begin later where the clock of the browser is some seconds behind. */
const CLOCKS_DIFFER_MS = 60_000;

/** A trial in words: what each object gets, from when, and which calls use it. */
export function ChangeWords({ change }: { change: Change }) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  return (
    <>
      {change.changes.map((each) => (
        <div key={`${each.kind} ${each.name}`}>
          <b>{t(`change.${each.action}`, { kind: t(`kind.${each.kind}`), name: each.name })}</b>
          <KeyWords keys={each.keys} />
          {Date.parse(each.begins_at) > present() + CLOCKS_DIFFER_MS && (
            <p>
              {t("change.begins")} <Moment value={each.begins_at} />
            </p>
          )}
          {each.planned.length > 0 && <p>{t("change.planned", { versions: each.planned.join(", ") })}</p>}
          {each.calls && each.calls.number > 0 && <p>{t("change.calls", { count: each.calls.number })}</p>}
          {each.users.map((users) => (
            <TemplateUserWords key={users.kind} users={users} />
          ))}
        </div>
      ))}
      {change.calls_unknown && (
        <p className="quiet">{t("change.calls_unknown", { why: inLanguage(change.calls_unknown) })}</p>
      )}
    </>
  );
}

/** Objects of a kind that take a template, and those that have a changed key of their own. */
function TemplateUserWords({ users }: { users: Schemas["TemplateUsers"] }) {
  const { t } = useTranslation();
  const named = ({ number, first }: Schemas["OwnValues"]) => {
    const more = number - first.length;
    return [...first, ...(more > 0 ? [t("form.more", { count: more })] : [])].join(", ");
  };
  return (
    <>
      <p>{t("change.users", { kind: t(`kind.${users.kind}`), number: users.number, names: named(users) })}</p>
      {Object.entries(users.own).map(([key, own]) => (
        <p key={key}>{t("change.own", { key, number: own.number, names: named(own) })}</p>
      ))}
    </>
  );
}

interface Done {
  said: string;
  undo?: () => Promise<unknown>;
  warnings?: readonly string[];
}

const WARNINGS_SHOWN = 5;

const DONE = ["done"];

/** Warnings of the switch in the answer to a change of objects, or to a reload. */
function warningsOf(answer: unknown): readonly string[] {
  const { warnings, outcome } = (answer ?? {}) as Partial<Change & Schemas["Done_ReloadOutcome_"]>;
  return warnings ?? outcome?.problems ?? [];
}

/** The objects of an answer to a change, where it has changed none of them. */
function unchangedOf(answer: unknown): Change["changes"] {
  const { changes } = (answer ?? {}) as Partial<Change>;
  return Array.isArray(changes) && changes.every((each) => each.action === "unchanged") ? changes : [];
}

/**
 * Say what was done, with the warnings of its answer; the words stay until the next act. They are kept where the
 * session's data is, and go with it. An order that found its objects as it wants them has made no version: it says so,
 * and its undo would take back what another person has changed since.
 */
export function useSay(): (said: string, undo?: () => Promise<unknown>, answer?: unknown) => void {
  const { t } = useTranslation();
  const queries = useQueryClient();
  return (said, undo, answer) => {
    readAgain(queries, DONE[0]);
    const same = unchangedOf(answer).map(({ kind, name }) => t("change.unchanged", { kind: t(`kind.${kind}`), name }));
    const done = same.length > 0 ? { said: same.join("; ") } : { said, undo };
    queries.setQueryData<Done>(DONE, { ...done, warnings: warningsOf(answer) });
  };
}

/** What was done last, and the button that undoes it. */
export function LastDone() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const say = useSay();
  const { data: done } = useQuery<Done | null>({
    queryKey: DONE,
    queryFn: skipToken,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const undo = useUndo<unknown>((made) => say((made as Done | undefined)?.said ?? t("change.undone"), undefined, made));
  if (!done) return null;
  const { warnings = [] } = done;
  return (
    <Alert
      variant="outline"
      color="green"
      p={6}
      role="status"
      withCloseButton
      closeButtonLabel={t("act.close")}
      onClose={() => queries.setQueryData(DONE, null)}
    >
      <Group gap="sm">
        <span>{done.said}</span>
        {done.undo && (
          <Button
            size="compact-xs"
            variant="default"
            loading={undo.isAtWork}
            onClick={() => done.undo && undo.run(done.undo)}
          >
            {t("act.undo")}
          </Button>
        )}
      </Group>
      {undo.problemOf(done.undo)}
      {warnings.length > 0 && (
        <>
          <p>{t("change.warnings", { count: warnings.length })}</p>
          <ul className="words">
            {warnings.slice(0, WARNINGS_SHOWN).map((warning) => (
              <li key={warning}>
                <ServerText text={warning} />
              </li>
            ))}
            {warnings.length > WARNINGS_SHOWN && (
              <li className="quiet">{t("form.more", { count: warnings.length - WARNINGS_SHOWN })}</li>
            )}
          </ul>
        </>
      )}
    </Alert>
  );
}
