import { Alert, Button, Group } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import {
  ChangedSince,
  CutOff,
  FileChanged,
  isLate,
  NotKept,
  Problem,
  remedyOf,
  sentencesOf,
  Unreachable,
} from "../api/client";
import { DoneOtherwise } from "../api/orders";
import { useServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";
import { CommandPages } from "./commandpages";
import { rescueFocus } from "./focus";
import { Note } from "./note";
import { useRenewals } from "./renewals";

const HTTP_TOO_LARGE = 413;

/** What stands where an answer will be: that it is read, or why it could not be. */
export function Reading({ of }: { of: { isPending: boolean; error: Error | null; refetch: () => unknown } }) {
  const { t } = useTranslation();
  if (of.isPending) return <Note why="loading">{t("state.loading")}</Note>;
  return <ProblemText error={of.error} again={() => of.refetch()} />;
}

/** Whether an error says that the session had ended, and the person has logged in again since. */
function useIsPast(error: Error | null): boolean {
  const renewals = useRenewals();
  const [first, setFirst] = useState({ error, renewals });
  if (first.error !== error) setFirst({ error, renewals });
  const isOfSession = error instanceof Problem && error.code === "unauthorized";
  return isOfSession && first.error === error && first.renewals < renewals;
}

/** What went wrong, and what to do; nothing while nothing has, or where it was that the session had ended. */
export function ProblemText({
  error,
  again,
  stale = error instanceof ChangedSince ? "change.meanwhile" : undefined,
}: {
  error: Error | null;
  again?: () => void;
  /** Words that say that another person has changed the same since; those with `_do` say what to do. */
  stale?: string;
}) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  const isPast = useIsPast(error);
  if (!error || isPast) return null;
  const words = (): readonly [title: string, remedy: string] => {
    if (error instanceof ChangedSince && error.message) return [error.message, ""];
    if (stale) return [t(stale), t(`${stale}_do`)];
    if (error instanceof Unreachable) return [t(isLate(error) ? "state.late" : "state.unreachable"), t("state.away")];
    if (error instanceof DoneOtherwise) return [t("act.done_otherwise"), t("act.done_otherwise_do")];
    if (error instanceof FileChanged) return [t("state.file_changed", { file: error.message }), t("state.file_again")];
    if (error instanceof NotKept) return [t("login.not_kept"), t("login.not_kept_do")];
    if (error instanceof CutOff) return [t("state.cut_off"), t("state.cut_off_do")];
    if (!(error instanceof Problem)) return [t("state.failed"), error.message];
    if (error.code) return [sentencesOf(error).map(inLanguage).join("\n"), inLanguage(remedyOf(error))];
    const isTooLarge = error.status === HTTP_TOO_LARGE;
    return [t("state.of_proxy", { answer: error.message }), t(isTooLarge ? "state.too_large" : "state.of_proxy_do")];
  };
  const [title, remedy] = words();
  return (
    <Alert color="red" variant="outline" role="alert" title={title || t("state.failed")}>
      <Group justify="space-between">
        <span>
          {remedy}
          {error instanceof Problem && <CommandPages text={`${sentencesOf(error).join(" ")} ${error.remedy}`} />}
        </span>
        {again && <Again act={again} />}
      </Group>
    </Alert>
  );
}

/** The next try, which goes with what it stands beside: the keyboard that has pressed it goes on from the title then. */
function Again({ act }: { act: () => void }) {
  const { t } = useTranslation();
  const isPressed = useRef(false);
  useEffect(() => () => void (isPressed.current && rescueFocus()), []);
  return (
    <Button
      size="xs"
      variant="default"
      onClick={(event) => {
        isPressed.current = event.detail === 0;
        act();
      }}
    >
      {t("state.again")}
    </Button>
  );
}
