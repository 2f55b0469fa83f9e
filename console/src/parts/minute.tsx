/** Fields of dates and times, in the zone in which the person sees times. */

import { Button, TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";
import { endOfDay, enteredEnd, enteredMoment, isDayBegin, lastDay, localMinute, moment } from "../format";
import { useTranslation } from "../text/translation";
import { isZone, repeatedOffset, useZone, zoneName } from "../zone";
import { NarrowInput, useEnteredWhenLeft } from "./narrow";

/** Years have four digits: browsers take six where nothing is said. */
export const LAST_DAY = "9999-12-31";
const LAST_MINUTE = `${LAST_DAY}T23:59`;

interface Minute {
  /** Whether it ends something: in an hour that the clocks repeat it is the last of the two moments, else the first. */
  isEnd?: boolean;
}

const momentOf = (text: string, isEnd: boolean | undefined) => (isEnd ? enteredEnd(text) : enteredMoment(text)) ?? "";

/** A field of a date and time, as text; in an hour that the clocks repeat it says which of the two it means. */
function MinuteField({ moment, description, ...look }: TextInputProps & { moment: string }) {
  const offset = repeatedOffset(new Date(moment), zoneName());
  const said = offset ? (
    <>
      {description} {offset}
    </>
  ) : (
    description
  );
  return <TextInput type="datetime-local" max={LAST_MINUTE} description={said} {...look} />;
}

type MomentProps = Omit<TextInputProps, "onChange" | "value"> &
  Minute & { value: string | undefined; onChange: (moment: string) => void };

/**
 * A field of a moment, as the API has it. What is typed stays as it is, for on the way to a year there are other years,
 * until the field is left or Enter is pressed: then it shows the moment, also where the clocks leave out what was typed.
 */
export function MomentInput({ value = "", onChange, onBlur, onKeyDown, isEnd, ...look }: MomentProps) {
  const zone = useZone();
  const [typed, setTyped] = useState({ text: localMinute(value), value, zone });
  const isTyped = typed.value === value && typed.zone === zone;
  const settle = () => value && setTyped({ text: localMinute(value), value, zone });
  return (
    <MinuteField
      {...look}
      moment={value}
      value={isTyped ? typed.text : localMinute(value)}
      onChange={(event) => {
        const text = event.currentTarget.value;
        const moment = momentOf(text, isEnd);
        setTyped({ text, value: moment, zone });
        onChange(moment);
      }}
      onBlur={(event) => {
        settle();
        onBlur?.(event);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") settle();
        onKeyDown?.(event);
      }}
    />
  );
}

/** A field of a moment that narrows a view when it is left, or by Enter. */
export function NarrowMoment({
  value = "",
  onEnter,
  ...look
}: Omit<MomentProps, "onChange"> & { onEnter: (moment: string) => void }) {
  const { entered, setEntered, leaves } = useEnteredWhenLeft(value, onEnter);
  return <MomentInput {...look} {...leaves} value={entered} onChange={setEntered} />;
}

/** The zone whose days a view is about: the one that its address names, else the viewer's. */
export function useDayZone(named: string | undefined): string {
  useZone();
  return isZone(named) ? named : zoneName();
}

/** What of an address says the days of a view. */
export interface Days {
  /** Moments, as the API has them: the end of a span is the beginning of the day after it. */
  since?: string;
  until?: string;
  /** The zone in which these begin days; a viewer in another zone has the same days by it. */
  zone?: string;
}

/** Fields of the first and the last day of a span, and what a viewer has to know of them where they are not its own days. */
export function DaySpan({ days, onEnter }: { days: Days; onEnter: (days: Days) => void }) {
  const { t } = useTranslation();
  const zone = useDayZone(days.zone);
  const { since, until } = days;
  const first = localMinute(since, zone).slice(0, LAST_DAY.length);
  const last = lastDay(until, zone);
  const enter = (entered: Days) => {
    const whole = { since, until, ...entered };
    onEnter({ ...whole, zone: whole.since || whole.until ? zone : undefined });
  };
  const own = zoneName();
  const cut = (
    [
      ["begins", since],
      ["ends", until],
    ] as const
  ).filter(([, at]) => at && !isDayBegin(at, zone));
  return (
    <>
      <NarrowInput
        label={t("cdrs.since")}
        type="date"
        max={LAST_DAY}
        value={first}
        onEnter={(day) => enter({ since: enteredMoment(day, zone) })}
      />
      <NarrowInput
        label={t("cdrs.until")}
        type="date"
        max={LAST_DAY}
        value={last}
        onEnter={(day) => enter({ until: endOfDay(day, zone) })}
      />
      {(zone !== own || cut.length > 0) && (
        <span role="status">
          {zone !== own && t("days.zone", { zone })}{" "}
          {cut.map(([name, at]) => (
            <span key={name}>{t(`days.${name}`, { moment: moment(at ?? "", new Date(0), zone), zone })} </span>
          ))}
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => onEnter({ since: enteredMoment(first, own), until: endOfDay(last, own), zone: own })}
          >
            {t("days.whole", { zone: own })}
          </Button>
        </span>
      )}
    </>
  );
}
