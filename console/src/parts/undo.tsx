/** What takes a change back, and why it did not. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { readAgain } from "../api/again";
import { isStale, Problem } from "../api/client";
import { isPageOld, mayBeCarriedOut } from "../api/orders";
import { useTranslation } from "../text/translation";
import { rescueFocus } from "./focus";
import { ProblemText } from "./problem";

interface Undo<Made> {
  made: Made | undefined;
  isAtWork: boolean;
  run: (act: () => Promise<Made>) => void;
  /** Why `act` has failed; nothing where it was another act. */
  problemOf: (act: unknown) => ReactNode;
}

const HTTP_NOT_FOUND = 404;
const HTTP_CONFLICT = 409;

/** Whether a refusal says that there is nothing to take back, or that another state holds. */
const isAnotherState = (error: Error | null) =>
  isStale(error) || (error instanceof Problem && [HTTP_NOT_FOUND, HTTP_CONFLICT].includes(error.status));

/** Take changes back. Behind an answer that was lost, a refusal of the repeat does not say that nothing was undone. */
export function useUndo<Made>(onSuccess: (made: Made) => void): Undo<Made> {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [lost, setLost] = useState<{ act?: () => Promise<Made> }>({});
  const undo = useMutation({
    mutationFn: (act: () => Promise<Made>) => act(),
    onSuccess,
    onError: (failure, act) => {
      if (mayBeCarriedOut(failure)) setLost({ act });
      if (isPageOld(failure)) readAgain(queries);
    },
    onSettled: () => rescueFocus(), // the button was busy, and goes with what it has undone
  });
  const { error } = undo;
  const wasLost = lost.act === undo.variables;
  const problem =
    error && mayBeCarriedOut(error) ? (
      <>
        <ProblemText error={error} />
        <span>{t("change.undo_lost")}</span>
      </>
    ) : (
      <ProblemText
        error={error}
        stale={wasLost && isAnotherState(error) ? "change.undone_before" : isStale(error) ? "change.stale" : undefined}
      />
    );
  return {
    made: undo.data,
    isAtWork: undo.isPending,
    run: undo.mutate,
    problemOf: (act) => act === undo.variables && problem,
  };
}
