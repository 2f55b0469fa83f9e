/** Why a part of a page shows nothing: it is read, it is empty, it is not for this person, it is not there. */

import { Loader } from "@mantine/core";
import type { ReactNode } from "react";

type Why = "loading" | "empty" | "no_right" | "not_found";

/** Drawings of 24 by 24: an empty tray, a lock, a question. */
const DRAWINGS: Record<Exclude<Why, "loading">, string> = {
  empty: "M4 13l3-8h10l3 8v6H4zM4 13h5l1 2h4l1-2h5",
  no_right: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 15v2",
  not_found: "M9 9a3 3 0 1 1 4 2.8c-.7.3-1 .9-1 1.7v1M12 17.5v.5",
};

/** One look of these states on every page: a drawing, what it is, and what to do. */
export function Note({ why, children, action }: { why: Why; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="note">
      {why === "loading" ? (
        <Loader size={24} type="dots" aria-hidden />
      ) : (
        <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
          <path d={DRAWINGS[why]} fill="none" stroke="currentColor" strokeWidth="1.5" />
        </svg>
      )}
      <span role="status">{children}</span>
      {action}
    </div>
  );
}
