/** Fields of dates and times, in the zone in which the person sees times. */

import { TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";
import { enteredMoment, localMinute } from "../format";
import { useZone } from "../zone";

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
