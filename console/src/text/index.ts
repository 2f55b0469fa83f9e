/** Languages: one file each in this directory; a further file is a further language, under the name that it has in it. */

import i18next from "i18next";
import { keep, recall } from "../kept";
import { isAnswering } from "../parts/loaded";

/** The texts of the console itself; those of the server are other parts of each file (languages.ts). */
const files = import.meta.glob<Record<string, unknown>>("./*.json", { import: "default", query: "?console" });
/** The language of the server, and of a browser whose own has no file. */
export const FALLBACK = "en";
const KEPT = "vosd.language";

/** Codes of the languages, such as `en`. */
export const languages = Object.keys(files)
  .map((path) => path.slice(2, -5))
  .sort();

/** Letters that are written from the right to the left. */
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/**
 * A value as it stands in a sentence. React encodes what it shows; what is not written in the direction of the sentence
 * is kept apart: digits behind a name, such as those of an amount, would stand on its other side, and in a sentence from
 * the right to the left a sign would stand behind its amount.
 */
export const isolated = (value: string, direction = i18next.dir()): string =>
  direction === "rtl" || FROM_RIGHT.test(value) ? `\u2068${value}\u2069` : value;

/** The language of a browser of those that there are: its own, such as `pt-BR`, else that without a region. */
export const languageFor = (wanted: string, there: readonly string[]): string =>
  [wanted, wanted.split("-")[0]].find((each) => each !== undefined && there.includes(each)) ?? FALLBACK;

/** Begin with the language that was chosen last, else with the browser's. */
export async function beginTexts(): Promise<void> {
  const language = languageFor(recall(KEPT) ?? navigator.language, languages);
  await i18next.init({
    lng: language,
    fallbackLng: FALLBACK,
    resources: {},
    showSupportNotice: false,
    interpolation: { escape: (value: string) => isolated(value) },
  });
  await use(language);
}

/**
 * Change the language and remember it. Where its texts have not come, as the switch has another console by now, they come
 * with the page.
 */
export async function chooseLanguage(language: string): Promise<void> {
  const isKept = keep(KEPT, language);
  try {
    await use(language);
  } catch {
    if (isKept && (await isAnswering())) window.location.reload();
  }
}

async function use(language: string): Promise<void> {
  const read = files[`./${language}.json`];
  if (read && !i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", await read());
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  document.documentElement.dir = i18next.dir(language);
}
