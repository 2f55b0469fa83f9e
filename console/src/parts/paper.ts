/** Pages that are drawn on paper. */

import { useSyncExternalStore } from "react";
import { flushSync } from "react-dom";

/** Whether the browser has said that it begins: Firefox draws a copy of the page, and says so by its media behind that. */
let isBegun = false;

/** Whether the page is being drawn on paper. */
export const isOnPaper = (): boolean => isBegun || matchMedia("print").matches;

function watch(changed: () => void): () => void {
  const note = ({ type }: Event) => {
    if (type !== "change") isBegun = type === "beforeprint";
    flushSync(changed); // the browser takes the page as it is behind this
  };
  const paper = matchMedia("print");
  paper.addEventListener("change", note);
  window.addEventListener("beforeprint", note);
  window.addEventListener("afterprint", note);
  return () => {
    paper.removeEventListener("change", note);
    window.removeEventListener("beforeprint", note);
    window.removeEventListener("afterprint", note);
  };
}

/** Whether the page is being drawn on paper; what uses it is drawn again before and behind that. */
export const useIsPrinted = (): boolean => useSyncExternalStore(watch, isOnPaper);
