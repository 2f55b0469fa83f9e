/** Whether the media of a call that is not made would be relayed, by which step, and how networks and NAT decide. */

import type { Row } from "../api/client";
import { ServerText } from "../text/meanings";
import { useTranslation } from "../text/translation";

interface MediaStep {
  step: number;
  relayed: boolean | null;
  reason: string;
}

const OTHERWISE = 8;

/** The word for the answer of a step: one that has media relayed ends the decision. */
export function answerOf({ step, relayed }: MediaStep): string {
  if (relayed === null) return "unknown";
  if (relayed) return "yes";
  return step === OTHERWISE ? "otherwise" : "no";
}

interface Alike {
  first: Row;
  gateways: unknown[];
}

/** Put gateways with the same decision and the same steps together; those without an engine are left out. */
export function alike(rows: readonly Row[]): Alike[] {
  const found = new Map<string, Alike>();
  for (const each of rows) {
    if (each.relayed === undefined) continue;
    const answer = JSON.stringify([each.relayed, each.media_step, each.media_steps]);
    const group = found.get(answer) ?? { first: each, gateways: [] };
    group.gateways.push(each.routing_gateway);
    found.set(answer, group);
  }
  return [...found.values()];
}

export function MediaSteps({ rows }: { rows: readonly Row[] }) {
  const { t } = useTranslation();
  const groups = alike(rows);
  if (groups.length === 0) return null;
  const whole = ({ relayed, media_step }: Row) => {
    if (relayed === null) return t("try.media.in_call");
    const word = relayed ? "relayed" : "direct";
    return t(media_step ? `try.media.${word}` : `try.media.${word}_by_mode`, { step: media_step });
  };
  return (
    <details>
      <summary>{t("try.media.title")}</summary>
      {groups.map(({ first, gateways }) => (
        <section key={String(first.routing_gateway)}>
          <p>
            {gateways.join(", ")}: {whole(first)}
          </p>
          <ul>
            {((first.media_steps ?? []) as MediaStep[]).map((each) => (
              <li key={each.step}>
                {t("try.media.step", { step: each.step, answer: t(`try.media.${answerOf(each)}`) })} (
                <ServerText text={each.reason} />)
              </li>
            ))}
          </ul>
        </section>
      ))}
    </details>
  );
}
