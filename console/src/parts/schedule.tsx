/** The way from a report to its schedule: a form that has the report and its criteria already. */

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Narrowing } from "../narrowing";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";

/** Operations that a person has who may order reports at fixed times: to define one, and to see the books that it shows. */
const NEEDED = ["POST /report-schedules", "GET /ledger/profit"];

/** Criteria of a report that its schedule has, too; its time follows from the schedule. */
const CRITERIA = [
  ...["group", "account", "gateway", "vendor", "area", "reason"],
  ...["callee", "caller", "callee_digits", "caller_digits"],
] as const;

/** The keys of the schedule of a report as it is shown. */
export function keysOfSchedule(report: string, order: Narrowing, zone: string): Narrowing {
  const given = CRITERIA.filter((name) => order[name]).map((name) => [name, order[name]] as const);
  const answered = order.answered && (order.answered === "true" ? "yes" : "no");
  return { report, timezone: zone, ...Object.fromEntries(given), ...(answered ? { answered } : {}) };
}

/** A button that leads to a new schedule; nothing for those who may not make one. */
export function Schedule({ keys = {} }: { keys?: Narrowing }) {
  const { t } = useTranslation();
  const { may } = useSession();
  if (!NEEDED.every((operation) => may.has(operation))) return null;
  return (
    <Button
      size="xs"
      variant="default"
      renderRoot={(root) => <Link {...root} to="/new/$kind" params={{ kind: "reports" }} search={keys} />}
    >
      {t("reports.schedule")}
    </Button>
  );
}
