/** Scripts that are loaded when they are needed: one that has not come is no defect of the screen. */

/** The script of a screen has not come. */
export class NotLoaded extends Error {}

/** Wait for a script; one that has not come leads to the page that loads the console anew. */
export function loaded<Module>(script: Promise<Module>): Promise<Module> {
  return script.catch((cause: unknown) => {
    throw new NotLoaded("a script has not come", { cause });
  });
}

/** Whether the switch answers: only then a page is loaded anew in place of one that is there. */
export const isAnswering = (): Promise<boolean> =>
  fetch("/", { cache: "no-store" }).then(
    ({ ok }) => ok,
    () => false,
  );
