/** What the server says in English, in the language of the console: meanings, forms and units of settings, sentences. */

import { skipToken, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Key, Kind } from "../forms/keys";
import { useIsOfAccount } from "../session";
import { FALLBACK } from "./index";
import { type Meanings, type Say, sayer } from "./sentences";
import { withoutCommand } from "./withoutcommand";

/** The part `server` of the file of each language (vite.config.ts). */
const files = import.meta.glob<Meanings>("./*.json", { import: "default", query: "?server" });
const NOTHING: Meanings = {};
/** States and end reasons are shorter. */
const WORD_MAX = 40;
const unchanged: Say = (english) => english;

/** The texts of a language; what it lacks is English. */
export const readMeanings = async (language: string): Promise<Meanings> =>
  (await files[`./${language}.json`]?.()) ?? NOTHING;

const sayers = new WeakMap<Meanings, Say>();

function sayerOf(texts: Meanings, word: (english: string) => string | undefined): Say {
  const known = sayers.get(texts) ?? sayer(texts, word);
  sayers.set(texts, known);
  return known;
}

/**
 * Say what the server says, a meaning or a sentence, in the language of the console. Agents and customers get no commands
 * of the switch, which are for those who operate it.
 */
export function useServerText(): Say {
  const { t, i18n } = useTranslation();
  const { language } = i18n;
  const { data } = useQuery({
    queryKey: ["meanings", language],
    queryFn: language === FALLBACK ? skipToken : () => readMeanings(language),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const isOfAccount = useIsOfAccount();
  const word = (english: string) => {
    const name = `value.${english}`;
    return english.length < WORD_MAX && i18n.exists(name) ? t([name]) : undefined;
  };
  const say = data ? sayerOf(data, word) : unchanged;
  return isOfAccount ? (english) => withoutCommand(say(english)) : say;
}

/** A text of the server in the language of the console. */
export function ServerText({ text }: { text: unknown }) {
  const inLanguage = useServerText();
  return <>{inLanguage(String(text ?? ""))}</>;
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
