/** A page for a screen on the wall: dark, without what surrounds other pages, and the screen stays on. */

import { useEffect, useSyncExternalStore } from "react";
import { noteWall } from "./api/use";

let isOn = false;
const watchers = new Set<() => void>();

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function set(wanted: boolean): void {
  isOn = wanted;
  noteWall(wanted);
  for (const watcher of watchers) watcher();
}

/** Whether a page is shown as on a wall: all is dark then, whatever the person has chosen for other pages. */
export const useIsOnWall = (): boolean => useSyncExternalStore(watch, () => isOn);

/** Show the page as on a wall while it is there. */
export function useWall(wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    let lock: WakeLockSentinel | undefined;
    set(true);
    // browsers refuse it where the page is hidden or energy is low: then the screen goes dark as it would
    void navigator.wakeLock?.request("screen").then(
      (taken) => {
        lock = taken;
      },
      () => undefined,
    );
    return () => {
      set(false);
      void lock?.release();
    };
  }, [wanted]);
}
