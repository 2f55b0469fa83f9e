/** What an answer leaves out because the person may not see it. */

import type { Row } from "../api/client";
import { useTranslation } from "../text/translation";
import type { Column } from "./table";
import { Named } from "./values";

/** Columns without those of money that no row has. */
export function withMoney(columns: readonly Column[], rows: readonly Row[]): Column[] {
  return columns.filter(
    ({ name, kind }) => kind !== "money" || rows.length === 0 || rows.some((row) => row[name] !== undefined),
  );
}

/** A line that says what is not shown, and which permissions that takes; nothing where all is shown. */
export function NotShown({ lacking }: { lacking: unknown }) {
  const { t } = useTranslation();
  const names = (lacking ?? []) as readonly string[];
  if (names.length === 0) return null;
  return (
    <p className="quiet">
      {t("try.lacking")} <Named names={names} words="permission" />
    </p>
  );
}
