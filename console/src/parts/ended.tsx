/** Choices of how calls ended: in the words of the page's language, asked for as a CDR has them. */

import { Select } from "@mantine/core";
import { useTranslation } from "../text/translation";

/** All end reasons of the switch, which a test compares with its own. */
const REASONS = [
  "Normal",
  "Cancelled",
  "Busy",
  "No Answer",
  "Rejected",
  "Not Found",
  "Unavailable",
  "Unreachable",
  "Unknown Source",
  "Authentication Failed",
  "No Matching Rate",
  "Rate Type Not Allowed",
  "Insufficient Balance",
  "Balance Exhausted",
  "Account Expired",
  "Account Disabled",
  "Account Capacity",
  "No Available Route",
  "Gateway Capacity",
  "Gateway Rate Limit",
  "Number Not Allowed",
  "Geofence Blocked",
  "User Agent Not Allowed",
  "Identity Invalid",
  "Loop",
  "Session Interval Too Small",
  "No Common Codec",
  "No Media Port",
  "No ACK",
  "Session Timeout",
  "Maximum Duration",
  "No Media",
  "Administrative",
  "Overload",
  "Shutdown",
  "Lost",
] as const;

interface Choice {
  value?: string;
  w?: number;
  onChange: (chosen: string | null) => void;
}

export function ReasonChoice({ value, w, onChange }: Choice) {
  const { t } = useTranslation();
  return (
    <Select
      label={t("column.end_reason")}
      data={REASONS.map((each) => ({ value: each, label: t(`value.${each}`) }))}
      value={value ?? null}
      searchable
      clearable
      w={w}
      onChange={onChange}
    />
  );
}

export function AnsweredChoice({ value, w, onChange }: Choice) {
  const { t } = useTranslation();
  return (
    <Select
      label={t("reports.answered")}
      data={(["true", "false"] as const).map((each) => ({ value: each, label: t(`reports.answered_${each}`) }))}
      value={value ?? null}
      clearable
      w={w}
      onChange={onChange}
    />
  );
}
