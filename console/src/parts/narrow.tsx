/** What is entered to narrow a view follows the address: by a link, by going back, by a view that was saved. */

import { TextInput, type TextInputProps } from "@mantine/core";
import { type KeyboardEvent, useState } from "react";

/** What is entered in a form, begun anew whenever the address says something else. */
export function useEntered<Entered>(said: Entered): [Entered, (entered: Entered) => void] {
  const [state, setState] = useState({ said, entered: said });
  const isSame = JSON.stringify(state.said) === JSON.stringify(said);
  // else going back to an address would show again what was entered there
  if (!isSame) setState({ said, entered: said });
  return [isSame ? state.entered : said, (entered) => setState({ said, entered })];
}

/** Value that narrows a view when its field is left, or by Enter; one that is needed and left empty comes back. */
export function useEnteredWhenLeft(value: string, onEnter: (entered: string) => void, isNeeded = false) {
  const [entered, setEntered] = useEntered(value);
  const enter = () => {
    if (isNeeded && !entered) setEntered(value);
    else if (entered !== value) onEnter(entered);
  };
  return {
    entered,
    setEntered,
    leaves: { onBlur: enter, onKeyDown: (event: KeyboardEvent) => event.key === "Enter" && enter() },
  };
}

/** A field that narrows a view when it is left, or by Enter. */
export function NarrowInput({
  value,
  onEnter,
  isNeeded,
  ...look
}: Omit<TextInputProps, "onChange" | "value"> & {
  value: string;
  onEnter: (text: string) => void;
  /** Whether the view is of one value at all times: left empty, the field shows it again. */
  isNeeded?: boolean;
}) {
  const { entered, setEntered, leaves } = useEnteredWhenLeft(value, onEnter, isNeeded);
  return (
    <TextInput {...look} {...leaves} value={entered} onChange={(event) => setEntered(event.currentTarget.value)} />
  );
}
