/** Meanings, expected forms and units of settings in the language of the console: the server has them in English. */

import { skipToken, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Key, Kind } from "../forms/keys";

/** Texts by the English one. */
export type Meanings = Readonly<Record<string, string>>;

const files = import.meta.glob<Meanings>("./meanings/*.json", { import: "default" });
const ENGLISH: Meanings = {};

/** The texts of a language; it is English where they have no file. */
export const readMeanings = async (language: string): Promise<Meanings> =>
  (await files[`./meanings/${language}.json`]?.()) ?? ENGLISH;

/** Say a meaning in the language of the console. */
export function useMeanings(): (english: string) => string {
  const { i18n } = useTranslation();
  const { language } = i18n;
  const hasFile = `./meanings/${language}.json` in files;
  const found = useQuery({
    queryKey: ["meanings", language],
    queryFn: hasFile ? () => readMeanings(language) : skipToken,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (english) => found.data?.[english] ?? english;
}

function keyIn(key: Key, texts: Meanings): Key {
  const said = (english: string) => texts[english] ?? english;
  return {
    ...key,
    meaning: said(key.meaning),
    expected: said(key.expected),
    unit: said(key.unit),
    keys: key.keys.map((each) => keyIn(each, texts)),
  };
}

/** A declaration with its texts in another language; a text without translation stays English. */
export const kindIn = (kind: Kind, texts: Meanings): Kind => ({
  ...kind,
  meaning: texts[kind.meaning] ?? kind.meaning,
  named: kind.named && keyIn(kind.named, texts),
  keys: kind.keys.map((key) => keyIn(key, texts)),
});
