/** Texts that the browser keeps between visits. Where its storage is full, broken or switched off, the console does without. */

type Area = "localStorage" | "sessionStorage";

/** Return what was kept under a key; null where nothing was, or nothing can be read. */
export function recall(key: string, area: Area = "localStorage"): string | null {
  try {
    return globalThis[area].getItem(key);
  } catch {
    return null;
  }
}

/** Keep a text under a key, or nothing any more; return whether that could be done. */
export function keep(key: string, text: string | null, area: Area = "localStorage"): boolean {
  try {
    if (text === null) globalThis[area].removeItem(key);
    else globalThis[area].setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
