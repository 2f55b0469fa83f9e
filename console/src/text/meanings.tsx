/** What the server says in English, in the language of the console: meanings, forms and units of settings, sentences. */

import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import type { Key, Kind } from "../forms/keys";
import { useIsOfAccount } from "../session";
import { FALLBACK } from "./index";
import { hasWords, type Meanings, type Say, sayer } from "./sentences";
import { withoutCommand } from "./withoutcommand";

/** The part `server` of the file of each language (vite.config.ts). */
const files = import.meta.glob<Meanings>("./*.json", { import: "default", query: "?server" });
const NOTHING: Meanings = {};
/** States and end reasons are shorter. */
const WORD_MAX = 40;
const unchanged: Say = (english) => english;

const known = new Map<string, Meanings>();
const asked = new Set<string>();
const followers = new Set<() => void>();

function follow(follower: () => void): () => void {
  followers.add(follower);
  return () => followers.delete(follower);
}

/** The texts of a language; what it lacks is English. */
export async function readMeanings(language: string): Promise<Meanings> {
  const texts = (await files[`./${language}.json`]?.()) ?? NOTHING;
  known.set(language, texts);
  for (const follower of followers) follower();
  return texts;
}

/** Have the texts of a language read once; where that fails, again with the next text that is said. */
export function beginServerText(language: string): void {
  if (language === FALLBACK || asked.has(language)) return;
  asked.add(language);
  readMeanings(language).catch(() => asked.delete(language));
}

const sayers = new WeakMap<Meanings, Say>();

function sayerOf(texts: Meanings, word: (english: string) => string | undefined): Say {
  const made = sayers.get(texts) ?? sayer(texts, word);
  sayers.set(texts, made);
  return made;
}

/**
 * Say what the server says, a meaning or a sentence, in the language of the console. Its texts are large: they are read
 * with the first that is no word of the console, and what is said stays English so long. Agents and customers get no
 * commands of the switch, which are for those who operate it.
 */
export function useServerText(): Say {
  const { t, i18n } = useTranslation();
  const { language } = i18n;
  const now = () => known.get(language);
  const texts = useSyncExternalStore(follow, now, now);
  const isOfAccount = useIsOfAccount();
  const word = (english: string) => {
    const name = `value.${english}`;
    return english.length < WORD_MAX && i18n.exists(name) ? t([name]) : undefined;
  };
  const unread: Say = (english) => {
    const said = word(english);
    if (said === undefined && hasWords(english)) beginServerText(language);
    return said ?? english;
  };
  const say = language === FALLBACK ? unchanged : texts ? sayerOf(texts, word) : unread;
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
