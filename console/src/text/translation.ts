/** The texts of the console in the present language, for what React draws. */

import i18next, { type TFunction } from "i18next";
import { useSyncExternalStore } from "react";

/** What says a text in each language: one for all that is drawn. */
const sayers = new Map<string, TFunction>();

function present(): TFunction {
  const { language } = i18next;
  const made = sayers.get(language) ?? i18next.getFixedT(language);
  sayers.set(language, made);
  return made;
}

function follow(watcher: () => void): () => void {
  i18next.on("languageChanged", watcher);
  return () => i18next.off("languageChanged", watcher);
}

/**
 * Return `t`, which says a text by its name; what is drawn with it is drawn again when another language is chosen. The
 * hook of react-i18next copies the whole of i18next for each cell of a table that uses it.
 */
export function useTranslation() {
  return { t: useSyncExternalStore(follow, present, present), i18n: i18next };
}
