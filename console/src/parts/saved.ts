/** Views that are kept by name: a search, or a report. Earlier versions of the console kept them in the browser. */

import { pageOf, type Schemas } from "../api/client";
import { keep, recall } from "../kept";
import { type Narrowing, queryOf } from "../narrowing";

export type View = Schemas["ViewSheet"];
export type ViewPage = "cdrs" | "reports";

/** A view as earlier versions kept it in the browser. */
export interface Saved {
  name: string;
  search: Narrowing;
}

const VIEWS_MAX = 1_000;
const NAME_MAX = 64;
/** Where earlier versions of the console kept the views of each page. */
const BEFORE: Record<ViewPage, string> = { cdrs: "vosd.cdrs.searches", reports: "vosd.reports" };
const TAKEN = "vosd.views.taken";

/** The views of a page that the person sees. */
export async function viewsOf(page: ViewPage): Promise<View[]> {
  return (await pageOf("/views", { page, limit: VIEWS_MAX })).items as unknown as View[];
}

function read(key: string): unknown {
  try {
    return JSON.parse(recall(key) ?? "null");
  } catch {
    return null;
  }
}

const isSaved = (each: unknown): each is Saved => {
  const { name, search } = (each ?? {}) as Partial<Saved>;
  return typeof name === "string" && typeof search === "object" && search !== null;
};

/** Names of a page's views that were taken over for a person, or deleted since. */
function takenBy(person: string, page: ViewPage): string[] {
  const names = (read(TAKEN) as Record<string, string[]> | null)?.[`${page} ${person}`];
  return Array.isArray(names) ? names : [];
}

/** Note whether a view of the browser is on the server for a person; it stays in the browser for others. */
export function noteTaken(person: string, page: ViewPage, name: string, isTaken = true): void {
  const all = { ...(read(TAKEN) as Record<string, string[]> | null) };
  const others = takenBy(person, page).filter((each) => each !== name);
  all[`${page} ${person}`] = isTaken ? [...others, name] : others;
  keep(TAKEN, JSON.stringify(all));
}

const allInBrowser = (page: ViewPage): unknown[] => {
  const kept = read(BEFORE[page]);
  return Array.isArray(kept) ? kept : [];
};

/** Delete a view from the browser, for all who use it; return the way back. */
export function dropFromBrowser(page: ViewPage, name: string): () => void {
  const isIt = (each: unknown) => isSaved(each) && each.name === name;
  const dropped = allInBrowser(page).filter(isIt);
  const put = (views: unknown[]) => localStorage.setItem(BEFORE[page], JSON.stringify(views));
  put(allInBrowser(page).filter((each) => !isIt(each)));
  return () => put([...allInBrowser(page), ...dropped]);
}

/** The views of a page that the browser keeps, of any person, and that a person has not taken over. */
export function leftInBrowser(person: string, page: ViewPage): Saved[] {
  const taken = takenBy(person, page);
  return allInBrowser(page)
    .filter(isSaved)
    .filter(({ name }) => !taken.includes(name));
}

/** The name under which a view of the browser is kept on the server; none where it is there already. */
export function nameFor({ name, search }: Saved, own: readonly { name: string; query: string }[]): string | null {
  const first = name.trim().slice(0, NAME_MAX).trim() || "–";
  const query = queryOf(search);
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? "" : ` (${number})`;
    const wanted = first.slice(0, NAME_MAX - end.length).trim() + end;
    const there = own.find((each) => each.name === wanted);
    if (!there) return wanted;
    if (there.query === query) return null;
  }
}
