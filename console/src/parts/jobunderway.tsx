/** A job that only looks: how far it is, and its end where nobody waits for it any more. */

import { Button, Progress } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import { type RefObject, useEffect } from "react";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { giveFocus } from "./focus";

/**
 * The progress of a job beside the button that has ordered it, and what cancels it. It is cancelled, too, with its page,
 * and where something else is asked for in its place: two jobs run at once, and others wait for them.
 */
export function JobUnderWay<Result>({
  order,
  progress,
  button,
}: {
  /** The order, whose variable ends its job, also where the answer to the order comes later than that. */
  order: UseMutationResult<Result, Error, AbortController>;
  progress: number;
  button: RefObject<HTMLButtonElement | null>;
}) {
  const { t } = useTranslation();
  const mayCancel = useMay("DELETE /jobs/{id}");
  const { isPending, variables } = order;
  useEffect(() => {
    if (!isPending || !variables) return;
    const end = () => variables.abort();
    window.addEventListener("pagehide", end);
    return () => {
      window.removeEventListener("pagehide", end);
      end();
    };
  }, [isPending, variables]);
  if (!isPending) return null;
  return (
    <>
      <Progress value={100 * progress} w={140} aria-label={t("column.progress")} />
      {mayCancel && (
        <Button
          size="xs"
          variant="default"
          onClick={() => {
            order.reset();
            giveFocus(button.current);
          }}
        >
          {t("act.cancel")}
        </Button>
      )}
    </>
  );
}
