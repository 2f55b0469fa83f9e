/** Keys of an object with their values before and after a change. */

import { Fragment } from "react";
import { CHANGED, differences, isSet, shown } from "../forms/keys";
import { useTranslation } from "../text/translation";

const DIFFERENCES_SHOWN = 20;

/** Keys with their values before and after. */
export function KeyWords({ keys }: { keys: unknown }) {
  const { t } = useTranslation();
  const found = Object.entries((keys ?? {}) as Record<string, [unknown, unknown]>).flatMap(
    ([name, [before, after]]) => {
      const differing = differences(name, before ?? undefined, after ?? undefined);
      return differing.length > 0 ? [[name, differing] as const] : [];
    },
  );
  if (found.length === 0) return null;
  return (
    <ul className="words">
      {found.map(([name, differing]) => (
        <Fragment key={name}>
          {differing.slice(0, DIFFERENCES_SHOWN).map(([place, before, after], index) => (
            <li key={index}>
              <code>{place}</code>:{" "}
              {after === CHANGED
                ? t("change.secret")
                : isSet(before) && isSet(after)
                  ? t("change.from_to", { before: shown(before), after: shown(after) })
                  : isSet(after)
                    ? t("change.set", { after: shown(after) })
                    : t("change.taken", { before: shown(before) })}
            </li>
          ))}
          {differing.length > DIFFERENCES_SHOWN && (
            <li>
              <code>{name}</code>: {t("form.more", { count: differing.length - DIFFERENCES_SHOWN })}
            </li>
          )}
        </Fragment>
      ))}
    </ul>
  );
}
