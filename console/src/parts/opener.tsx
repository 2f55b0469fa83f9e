/** A button that opens a dialog with what the page shows: behind an order it waits until the page has read that again. */

import { useIsFetching } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { OrderButton, type OrderButtonProps } from "./orderbutton";

/** The longest wait: a list that comes later is compared when the order is given. */
const WAIT_MS = 10_000;

interface OpenerProps extends Omit<OrderButtonProps, "children" | "isAtWork" | "onClick"> {
  act: string;
  isAtWork?: boolean;
  onOpen: () => void;
}

/** The button; where it has become that of another act meanwhile, it opens nothing. */
export function Opener({ act, isAtWork = false, onOpen, ...props }: OpenerProps) {
  const [wanted, setWanted] = useState<string | null>(null);
  const open = () => {
    setWanted(null);
    if (wanted === act) onOpen();
  };
  return (
    <>
      <OrderButton
        {...props}
        isAtWork={isAtWork || wanted !== null}
        onClick={({ currentTarget: { form, type } }) => {
          if (type !== "submit" || !form || form.checkValidity()) setWanted(act);
        }}
      >
        {act}
      </OrderButton>
      {wanted !== null && <WhenRead onRead={open} />}
    </>
  );
}

/** Call `onRead` when nothing is being read again behind an order. */
function WhenRead({ onRead }: { onRead: () => void }) {
  const isOld = useIsFetching({ predicate: ({ state }) => state.isInvalidated }) > 0;
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), WAIT_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    if (!isOld || isLate) onRead();
  });
  return null;
}
