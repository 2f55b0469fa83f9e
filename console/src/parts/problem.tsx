import { Alert, Button, Group } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Problem, Unreachable } from "../api/client";
import { useServerText } from "../text/meanings";

/** What went wrong, and what to do; nothing while nothing has. */
export function ProblemText({ error, again }: { error: Error | null; again?: () => void }) {
  const { t } = useTranslation();
  const inLanguage = useServerText();
  if (!error) return null;
  const isOfServer = error instanceof Problem;
  const remedy = isOfServer ? inLanguage(error.remedy) : error.message;
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={
        (isOfServer && inLanguage(error.message)) ||
        t(error instanceof Unreachable ? "state.unreachable" : "state.failed")
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
