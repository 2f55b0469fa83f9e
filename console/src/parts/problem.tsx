import { Alert, Button, Group } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { ChangedSince, isStale, Problem, Unreachable } from "../api/client";
import { useServerText } from "../text/meanings";
import { Note } from "./note";

/** What stands where an answer will be: that it is read, or why it could not be. */
export function Reading({ of }: { of: { isPending: boolean; error: Error | null; refetch: () => unknown } }) {
  const { t } = useTranslation();
  if (of.isPending) return <Note why="loading">{t("state.loading")}</Note>;
  return <ProblemText error={of.error} again={() => of.refetch()} />;
}

/** Why a change was not taken back; that another person has changed the same since is said with what to do. */
export function UndoProblem({ error }: { error: Error | null }) {
  return <ProblemText error={error} stale={isStale(error) ? "change.stale" : undefined} />;
}

/** What went wrong, and what to do; nothing while nothing has. */
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
  if (!error) return null;
  const isOfServer = error instanceof Problem && !stale;
  const remedy = isOfServer ? inLanguage(error.remedy) : stale ? t(`${stale}_do`) : error.message;
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={
        (isOfServer && inLanguage(error.message)) ||
        t(stale ?? (error instanceof Unreachable ? "state.unreachable" : "state.failed"))
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
