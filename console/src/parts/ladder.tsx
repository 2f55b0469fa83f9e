/** The messages of a call as a picture: a line for each side, an arrow for each message. */

import { useState } from "react";
import { useTranslation } from "../text/translation";
import { type Ladder, type Picture, picture, type Rung } from "./messages";

const COLUMN_PX = 170;
const ROW_PX = 34;
const MIDDLE_PX = 26;
const HEAD_PX = 5;

const x = (column: number) => COLUMN_PX * (column + 0.5);

export function LadderPicture({ ladder }: { ladder: Ladder }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<number | null>(null);
  const drawn = picture(ladder, t("ladder.switch"));
  const width = drawn.columns.length * COLUMN_PX;
  const opened = chosen === null ? undefined : drawn.rungs[chosen];
  const sided = (column: number) => drawn.columns[column]?.name || drawn.columns[column]?.address || t("ladder.caller");
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section className="ladder" aria-label={t("call.ladder")} tabIndex={0}>
      <div className="ladder-head" style={{ width: `calc(${width}px + var(--ladder-time))` }}>
        <span className="quiet">ms</span>
        {drawn.columns.map((column, index) => (
          <span key={index}>
            <b className="ladder-name">{column.name || (index === 0 ? t("ladder.caller") : column.address)}</b>
            <span className="quiet">{column.address}</span>
          </span>
        ))}
      </div>
      <ol>
        {drawn.rungs.map((rung, index) => (
          <li key={index}>
            <button
              type="button"
              className="rung"
              aria-expanded={chosen === index}
              onClick={() => setChosen(chosen === index ? null : index)}
            >
              <span>{rung.ms}</span>
              <span className="unseen">
                {t("ladder.message", { from: sided(rung.from), to: sided(rung.to), name: nameFor(rung) })}
              </span>
              <Arrow rung={rung} drawn={drawn} width={width} />
            </button>
            {chosen === index && opened && <pre className="plain">{opened.text}</pre>}
          </li>
        ))}
      </ol>
    </section>
  );
}

const nameFor = (rung: Rung) => `${rung.name}${rung.of ? ` (${rung.of})` : ""}${rung.hasBody ? " + SDP" : ""}`;

function Arrow({ rung, drawn, width }: { rung: Rung; drawn: Picture; width: number }) {
  const [begin, end] = [x(rung.from), x(rung.to)];
  const back = end > begin ? -HEAD_PX : HEAD_PX;
  const isRefusal = /^[4-6]\d\d /.test(rung.name);
  return (
    <svg width={width} height={ROW_PX} viewBox={`0 0 ${width} ${ROW_PX}`} aria-hidden="true">
      {drawn.columns.map((_, column) => (
        <line key={column} x1={x(column)} x2={x(column)} y1={0} y2={ROW_PX} className="lifeline" />
      ))}
      <g className={isRefusal ? "arrow bad" : "arrow"}>
        <line x1={begin} x2={end} y1={MIDDLE_PX} y2={MIDDLE_PX} />
        <path d={`M${end},${MIDDLE_PX} l${2 * back},${-HEAD_PX} l0,${2 * HEAD_PX} z`} />
        <text x={(begin + end) / 2} y={MIDDLE_PX - 6} textAnchor="middle">
          {nameFor(rung)}
        </text>
      </g>
    </svg>
  );
}
