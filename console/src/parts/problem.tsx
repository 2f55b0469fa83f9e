import { Alert, Button, Group } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { ChangedSince, Problem, Unreachable } from "../api/client";
import { useServerText } from "../text/meanings";
import { Note } from "./note";

const HTTP_STALE = 412;

/** What stands where an answer will be: that it is read, or why it could not be. */
export function Reading({ of }: { of: { isPending: boolean; error: Error | null; refetch: () => unknown } }) {
  const { t } = useTranslation();
  if (of.isPending) return <Note why="loading">{t("state.loading")}</Note>;
  return <ProblemText error={of.error} again={() => of.refetch()} />;
}

/** Why a change was not taken back; that another person has changed the same since is said with what to do. */
export function UndoProblem({ error }: { error: Error | null }) {
  const isStale = error instanceof Problem && error.status === HTTP_STALE;
  return <ProblemText error={isStale ? new ChangedSince() : error} />;
}

/** What went wrong, and what to do; nothing while nothing has. */
export function ProblemText({ error, again }: { error: Error | null; again?: () => void }) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  if (!error) return null;
  const isOfServer = error instanceof Problem;
  const isStale = error instanceof ChangedSince;
  const remedy = isOfServer ? inLanguage(error.remedy) : isStale ? t("change.stale_do") : error.message;
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={
        (isOfServer && inLanguage(error.message)) ||
        t(isStale ? "change.stale" : error instanceof Unreachable ? "state.unreachable" : "state.failed")
      }
    >
      <Group justify="space-between">
        <span>{remedy}</span>
        {again && (
          <Button size="xs" variant="default" onClick={again}>
            {t("state.again")}
          </Button>
        )}
      </Group>
    </Alert>
  );
}
