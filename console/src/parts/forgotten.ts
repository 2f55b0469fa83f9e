/** Secrets that are not shown any more are not kept either. */

import { useEffect, useState } from "react";

/** Draw once more when something was opened or closed: React keeps what it has drawn before, with secrets in it. */
export function useForgotten(isOpen: boolean): void {
  const [, draw] = useState(isOpen);
  useEffect(() => draw(isOpen), [isOpen]);
}

/** Leave the field that is being filled in, before it goes: React keeps the one that was not left, and what is in it. */
export function leaveField(): void {
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}
