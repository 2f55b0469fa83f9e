/** The button of a dialog that gives an order: a disabled one would lose the focus to the page behind the dialog. */

import { Button, type ButtonProps, type ElementProps, Loader } from "@mantine/core";

export interface OrderButtonProps extends ButtonProps, ElementProps<"button", keyof ButtonProps> {
  /** Whether the order is at work: the button keeps the focus of the keyboard then, and does nothing. */
  isAtWork: boolean;
}

export function OrderButton({ isAtWork, onClick, ...props }: OrderButtonProps) {
  return (
    <Button
      {...props}
      aria-disabled={isAtWork}
      data-disabled={isAtWork || undefined}
      leftSection={isAtWork && <Loader size="1em" color="currentColor" />}
      onClick={(event) => {
        if (isAtWork) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}
