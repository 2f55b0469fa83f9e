/** The attempts of a call one behind the other on a line of time. */

import { useTranslation } from "../text/translation";
import { Gateway } from "./values";

export interface Attempt {
  gateway: string | null;
  code: number | null;
  ms: number | null;
  pdd_ms: number | null;
  reason: string | null;
  media_path?: string | null;
  media_step?: number | null;
  media_fault?: string | null;
}

interface Bar extends Attempt {
  /** Where it begins and how long it is, in percent of all attempts. */
  left: number;
  width: number;
  /** Milliseconds from the first attempt. */
  begin: number;
}

const THINNEST = 0.5;
const ANSWERED_MAX = 300;

/** Lay attempts out; each begins where the one before has ended. */
export function bars(attempts: readonly Attempt[]): Bar[] {
  const whole = Math.max(
    1,
    attempts.reduce((sum, each) => sum + (each.ms ?? 0), 0),
  );
  let begin = 0;
  return attempts.map((each) => {
    const bar = {
      ...each,
      begin,
      left: Math.min(100 - THINNEST, (100 * begin) / whole),
      width: Math.max(THINNEST, (100 * (each.ms ?? 0)) / whole),
    };
    begin += each.ms ?? 0;
    return bar;
  });
}

export function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const { t } = useTranslation();
  if (attempts.length === 0) return <p className="quiet">{t("call.no_attempts")}</p>;
  return (
    <ol className="attempts" aria-label={t("call.attempts")}>
      {bars(attempts).map((bar, index) => (
        <li key={index}>
          <span>
            {bar.gateway && <Gateway name={bar.gateway} kind="routing_gateways" />}{" "}
            <b className={(bar.code ?? ANSWERED_MAX) < ANSWERED_MAX ? "good" : "bad"}>{bar.code ?? "–"}</b> {bar.reason}
            <span className="quiet">
              {" "}
              {t("call.attempt_took", { begin: bar.begin, ms: bar.ms ?? "–" })}
              {bar.pdd_ms !== null && ` ${t("call.attempt_rang", { ms: bar.pdd_ms })}`}
              {bar.media_path && ` ${t(`call.attempt_${bar.media_path}`, { step: bar.media_step })}`}
            </span>
          </span>
          <svg width="100%" height="10" aria-hidden="true" preserveAspectRatio="none">
            <rect x="0" y="4" width="100%" height="2" className="lifeline-bar" />
            <rect
              x={`${bar.left}%`}
              y="0"
              width={`${bar.width}%`}
              height="10"
              className={(bar.code ?? ANSWERED_MAX) < ANSWERED_MAX ? "bar-good" : "bar-bad"}
            />
          </svg>
        </li>
      ))}
    </ol>
  );
}
