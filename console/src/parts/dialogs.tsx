/** Dialogs stand beside their page: one stays where the button that has opened it goes, as with a row of a list. */

import { createContext, Fragment, type ReactElement, type ReactNode, useContext, useEffect, useState } from "react";

const Show = createContext<(dialog: ReactElement) => void>(() => {
  throw new Error("dialogs are opened within a page");
});

/** Open a dialog, in place of the one before. */
export const useDialog = () => useContext(Show);

/** A page with the dialog that was opened last. */
export function Dialogs({ children }: { children: ReactNode }) {
  const [last, setLast] = useState<{ number: number; dialog?: ReactElement }>({ number: 0 });
  const [show] = useState(() => (dialog: ReactElement) => setLast(({ number }) => ({ number: number + 1, dialog })));
  return (
    <Show value={show}>
      {children}
      <Fragment key={last.number}>{last.dialog}</Fragment>
    </Show>
  );
}

/** Whether a dialog is open. It is not when it is drawn first: it gives the focus back to what has it then. */
export function useOpened() {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(true), []);
  return [isOpen, setOpen] as const;
}
