/** A link of a table's cell: hundreds are drawn while a person scrolls, so it costs as little as an anchor does. */

import { useRouter } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";

export function Go({
  to,
  title,
  isOfRow,
  children,
}: {
  /** Path, with its parts encoded. */
  to: string;
  title?: string;
  /** Whether Enter on its row opens it. */
  isOfRow?: boolean;
  children: ReactNode;
}) {
  const router = useRouter();
  const go = (event: MouseEvent) => {
    // as the browser does it: in another tab or window
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.history.push(to);
  };
  return (
    <a href={to} title={title} onClick={go} data-row={isOfRow || undefined}>
      {children}
    </a>
  );
}
