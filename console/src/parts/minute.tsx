/** Fields of dates and times, in the zone in which the person sees times. */

import { Button, TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { endOfDay, enteredMoment, isDayBegin, lastDay, localMinute, moment } from "../format";
import { isZone, useZone, zoneName } from "../zone";
import { NarrowInput } from "./narrow";

/** Years have four digits: browsers take six where nothing is said. */
export const LAST_DAY = "9999-12-31";
export const LAST_MINUTE = `${LAST_DAY}T23:59`;

/** A field of a date and time, as text. */
export function MinuteInput(props: TextInputProps) {
  return <TextInput type="datetime-local" max={LAST_MINUTE} {...props} />;
}

/** A field of a moment, as the API has it. What is typed stays as it is: on the way to a year there are other years. */
export function MomentInput({
  value = "",
  onChange,
  ...look
}: Omit<TextInputProps, "onChange" | "value"> & { value: string | undefined; onChange: (moment: string) => void }) {
  const zone = useZone();
  const [typed, setTyped] = useState({ text: localMinute(value), value, zone });
  const isTyped = typed.value === value && typed.zone === zone;
  return (
    <MinuteInput
      {...look}
      value={isTyped ? typed.text : localMinute(value)}
      onChange={(event) => {
        const text = event.currentTarget.value;
        const entered = enteredMoment(text) ?? "";
        setTyped({ text, value: entered, zone });
        onChange(entered);
      }}
    />
  );
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
