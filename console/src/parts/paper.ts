/** Pages that are drawn on paper. */

import { useSyncExternalStore } from "react";

const isPrinted = () => matchMedia("print").matches;

function watch(changed: () => void): () => void {
  const paper = matchMedia("print");
  paper.addEventListener("change", changed);
  return () => paper.removeEventListener("change", changed);
}

/** Whether the page is being drawn on paper. */
export const useIsPrinted = (): boolean => useSyncExternalStore(watch, isPrinted);
