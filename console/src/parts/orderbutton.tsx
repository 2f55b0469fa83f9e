/** The button of an order or a question to the switch: a disabled one would lose the focus while that is at work. */

import { Button, type ButtonProps, type ElementProps } from "@mantine/core";
import type { Ref } from "react";

export interface OrderButtonProps extends ButtonProps, ElementProps<"button", keyof ButtonProps> {
  ref?: Ref<HTMLButtonElement>;
  /** Whether the order is at work: the button keeps the focus of the keyboard then, and does nothing. */
  isAtWork: boolean;
}

export function OrderButton({ isAtWork, onClick, ...props }: OrderButtonProps) {
  return (
    <Button
      {...props}
      loading={isAtWork}
      renderRoot={(root) => (
        <button {...root} type={props.type ?? "button"} disabled={props.disabled} aria-disabled={isAtWork} />
      )}
      onClick={(event) => {
        if (isAtWork) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}
