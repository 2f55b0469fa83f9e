/** Focus of the keyboard after what had it is gone. */

import { type RefObject, useEffect, useRef } from "react";

/** Give the focus to an element; to the title of the page where that is gone or may not be pressed any more. */
export function giveFocus(element: HTMLElement | null) {
  const taker = element?.matches(":enabled") ? element : document.querySelector<HTMLElement>("main h1");
  taker?.focus();
}

/** Give the focus to an element, or the title, where a button had it that is gone, or may not be pressed any more. */
export function rescueFocus(to: HTMLElement | null = null) {
  if (!document.activeElement || document.activeElement.matches("body, :disabled")) giveFocus(to);
}

/** Give the focus a place when what had it goes from the page, or may not be pressed any more, with its reason. */
export function useRescue(isThere: boolean, to?: RefObject<HTMLElement | null>) {
  const wasThere = useRef(isThere);
  useEffect(() => {
    if (wasThere.current && !isThere) rescueFocus(to?.current);
    wasThere.current = isThere;
  }, [isThere, to]);
}
