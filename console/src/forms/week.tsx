/** A week of a calendar as it would be: the server says what holds, and working hours can be drawn into it. */

import { Button, Group, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type PointerEvent, useState } from "react";
import { type Schemas, send } from "../api/client";
import { LAST_DAY } from "../parts/minute";
import { NarrowInput } from "../parts/narrow";
import { ProblemText } from "../parts/problem";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { chosenZone, clockAt, daysLater } from "../zone";
import { clock, mondayOf, partOf } from "./hours";
import type { Keys } from "./keys";

type Days = Schemas["CalendarDays"];
type Day = Schemas["CalendarDaySheet"];
type Span = Schemas["CalendarSpanSheet"];

const TYPED_MS = 300;
const WEEK = 7;
const STEP_MINUTES = 30;
const STEPS = 48;
const HOURS_NAMED = [0, 3, 6, 9, 12, 15, 18, 21];

const stateOf = (span: Span) => (span.decided_by === "default" ? "default" : span.working ? "working" : "rest");

export function Week({
  name,
  keys,
  onHours,
}: {
  name: string;
  keys: Keys;
  /** Takes working hours of a week day that were drawn. */
  onHours?: (weekday: string, from: string, to: string) => void;
}) {
  const { t } = useTranslation();
  const may = useMay("POST /calendar-days");
  const [first, setFirst] = useState(() => mondayOf(clockAt(new Date(), chosenZone()).slice(0, 10)));
  // as text, because an object would be another one each time that the form is drawn
  const [typed] = useDebouncedValue(JSON.stringify(keys), TYPED_MS);
  const isEmpty = Object.keys(keys).length === 0;
  const found = useQuery({
    queryKey: ["calendar-days", name, typed, first],
    queryFn: () =>
      send<Days>("post", "/calendar-days", {
        body: { name: name || "new", keys: JSON.parse(typed), first, days: WEEK },
      }),
    enabled: may && !isEmpty,
    placeholderData: keepPreviousData,
    retry: false,
  });
  if (!may) return null;
  const days = isEmpty || found.error ? [] : (found.data?.days ?? []);
  return (
    <section aria-label={t("calendar.week")}>
      <Group gap="xs" align="end">
        <Title order={2} size="h4">
          {t("calendar.week")}
        </Title>
        <Button size="compact-xs" variant="default" onClick={() => setFirst(daysLater(first, -WEEK))}>
          ‹ {t("calendar.before")}
        </Button>
        <NarrowInput
          size="xs"
          type="date"
          max={LAST_DAY}
          aria-label={t("calendar.week_of")}
          value={first}
          onEnter={(day) => setFirst(mondayOf(day))}
          isNeeded
        />
        <Button size="compact-xs" variant="default" onClick={() => setFirst(daysLater(first, WEEK))}>
          {t("calendar.after")} ›
        </Button>
        {found.data && <span className="quiet">{found.data.timezone}</span>}
      </Group>
      {isEmpty ? <p className="quiet">{t("calendar.none")}</p> : <ProblemText error={found.error} />}
      {days.length > 0 && (
        <>
          <div className="week" aria-hidden>
            <span />
            <div className="hours-named">
              {HOURS_NAMED.map((hour) => (
                <span key={hour}>{clock(hour * 60)}</span>
              ))}
            </div>
          </div>
          {days.map((day) => (
            <DayBar key={day.date} day={day} onHours={onHours} />
          ))}
          <p className="quiet legend">
            {(["working", "rest", "default"] as const).map((state) => (
              <span key={state}>
                <i className={`span ${state}`} /> {t(`calendar.states.${state}`)}
              </span>
            ))}
            <span>
              <i className="span used" /> {t("calendar.used")}
            </span>
            {onHours && <span>{t("calendar.draw")}</span>}
          </p>
        </>
      )}
    </section>
  );
}

/** A day from midnight to midnight, by the clock of the calendar's zone. */
function DayBar({ day, onHours }: { day: Day; onHours?: (weekday: string, from: string, to: string) => void }) {
  const { t } = useTranslation();
  const [drawn, setDrawn] = useState<readonly [number, number] | null>(null);
  const stepAt = (event: PointerEvent<HTMLElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    return Math.min(STEPS - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * STEPS)));
  };
  const edges = drawn && ([Math.min(...drawn), Math.max(...drawn) + 1] as const);
  const words = day.spans.map((span) => {
    const why = span.decided_by === "default" ? "" : ` (${t(`calendar.decides.${span.decided_by}`)})`;
    return `${span.begins}–${span.ends} ${t(`calendar.states.${stateOf(span)}`)}${why}`;
  });
  const end = () => {
    if (edges) onHours?.(day.weekday, clock(edges[0] * STEP_MINUTES), clock(edges[1] * STEP_MINUTES));
    setDrawn(null);
  };
  return (
    <div className="week">
      <span className="day">
        {t(`calendar.days.${day.weekday}`)} <span className="quiet">{day.date.slice(5)}</span>
        {day.holiday && <span title={t("calendar.holiday")}> ★</span>}
      </span>
      <div
        className="bar"
        role="img"
        aria-label={`${t(`calendar.days.${day.weekday}`)} ${day.date}: ${words.join(", ")}`}
        onPointerDown={(event) => {
          if (!onHours || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrawn([stepAt(event), stepAt(event)]);
        }}
        onPointerMove={(event) => drawn && setDrawn([drawn[0], stepAt(event)])}
        onPointerUp={end}
        onPointerCancel={() => setDrawn(null)}
      >
        {day.spans.map((span, index) => (
          <span
            key={span.begins}
            className={`span ${stateOf(span)}${span.used ? " used" : ""}`}
            title={words[index]}
            style={placeOf(partOf(span.begins), partOf(span.ends))}
          >
            {stateOf(span) !== "default" && `${span.begins}–${span.ends}`}
          </span>
        ))}
        {edges && <span className="span drawn" style={placeOf(edges[0] / STEPS, edges[1] / STEPS)} />}
      </div>
    </div>
  );
}

const placeOf = (begin: number, end: number) => ({ left: `${100 * begin}%`, width: `${100 * (end - begin)}%` });
