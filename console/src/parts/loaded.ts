/** The console as the browser has loaded it: scripts that have not come are no defect, and the switch may have others by now. */

import { useEffect, useRef, useState } from "react";

/** The script of a screen has not come. */
export class NotLoaded extends Error {}

/** Wait for a script; one that has not come leads to the page that loads the console anew. */
export function loaded<Module>(script: Promise<Module>): Promise<Module> {
  return script.catch((cause: unknown) => {
    throw new NotLoaded("a script has not come", { cause });
  });
}

/** What a page of the console differs by from one of another version, or of another brand. */
const marksOf = (page: Document) =>
  ["script[type=module]", 'meta[name="brand"]'].map((each) => {
    const found = page.querySelector(each);
    return found?.getAttribute("src") ?? found?.getAttribute("content");
  });

/** Whether the switch has another console than this page by now, or shows it under another brand. */
export async function isReplaced(): Promise<boolean> {
  const text = await fetch("/", { cache: "no-store" }).then(
    (answer) => (answer.ok ? answer.text() : ""),
    () => "",
  );
  const [script, ...others] = marksOf(new DOMParser().parseFromString(text, "text/html"));
  // a page of a network that wants a log-in is none of the console
  return Boolean(script) && JSON.stringify([script, ...others]) !== JSON.stringify(marksOf(document));
}

const LOOK_MS = 600_000;

/** Whether the page is one of before: looked for every ten minutes that it is open, when its window is seen. */
export function useIsReplaced(): boolean {
  const [isOld, setOld] = useState(false);
  const lookedAt = useRef(performance.timeOrigin);
  useEffect(() => {
    if (isOld) return;
    const look = () => {
      if (document.visibilityState === "hidden") return;
      lookedAt.current = Date.now();
      void isReplaced().then(setOld, () => {});
    };
    const lookIfDue = () => {
      if (Date.now() - lookedAt.current >= LOOK_MS) look();
    };
    lookIfDue();
    // behind a tick that was late the next one comes a little too early for what is due
    const timer = setInterval(look, LOOK_MS);
    window.addEventListener("focus", lookIfDue);
    return () => {
      clearInterval(timer);
      window.removeEventListener("focus", lookIfDue);
    };
  }, [isOld]);
  return isOld;
}

/** Whether the switch answers: only then a page is loaded anew in place of one that is there. */
export const isAnswering = (): Promise<boolean> =>
  fetch("/", { cache: "no-store" }).then(
    ({ ok }) => ok,
    () => false,
  );
