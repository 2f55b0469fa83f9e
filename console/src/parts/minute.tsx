/** Fields of dates and times, in the zone in which the person sees times. */

import { TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";
import { endOfDay, enteredMoment, lastDay, localMinute } from "../format";
import { useZone } from "../zone";
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
        const moment = enteredMoment(text) ?? "";
        setTyped({ text, value: moment, zone });
        onChange(moment);
      }}
    />
  );
}

/** A field of the first or the last day of a span, as the API has it: the end of a span is the beginning of the day after it. */
export function DayInput({
  value,
  isLast,
  onEnter,
  ...look
}: Omit<TextInputProps, "onChange" | "value"> & {
  value: string | undefined;
  isLast: boolean;
  onEnter: (moment: string | undefined) => void;
}) {
  useZone();
  return (
    <NarrowInput
      {...look}
      type="date"
      max={LAST_DAY}
      value={isLast ? lastDay(value) : localMinute(value).slice(0, LAST_DAY.length)}
      onEnter={(day) => onEnter(isLast ? endOfDay(day) : enteredMoment(day))}
    />
  );
}
