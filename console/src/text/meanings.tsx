/** What the server says in English, in the language of the console: meanings, forms and units of settings, sentences. */

import type { TFunction } from "i18next";
import { useSyncExternalStore } from "react";
import type { Key, Kind } from "../forms/keys";
import { useIsOfAccount } from "../session";
import { FALLBACK } from "./index";
import { hasWords, isEnglish, type Meanings, type Say, sayer } from "./sentences";
import { useTranslation } from "./translation";
import { withoutCommand } from "./withoutcommand";

/** The parts `switch` and `server` of the file of each language (languages.ts). */
const smallFiles = import.meta.glob<Meanings>("./*.json", { import: "default", query: "?switch" });
const largeFiles = import.meta.glob<Meanings>("./*.json", { import: "default", query: "?server" });
const NOTHING: Meanings = {};
/** States and end reasons are shorter. */
const WORD_MAX = 40;
const unchanged: Say = (english) => english;

const known = new Map<string, Meanings>();
/** Languages of which all texts were read. */
const whole = new Set<string>();
const asked = new Set<string>();
const followers = new Set<() => void>();

function follow(follower: () => void): () => void {
  followers.add(follower);
  return () => followers.delete(follower);
}

function note(language: string, texts: Meanings): Meanings {
  known.set(language, texts);
  for (const follower of followers) follower();
  return texts;
}

/** The texts of what the running switch says: alarms, and why a gateway rests. They are few. */
async function readSwitchText(language: string): Promise<void> {
  const texts = (await smallFiles[`./${language}.json`]?.()) ?? NOTHING;
  if (!known.has(language)) note(language, texts);
}

/** All texts of a language; what it lacks is English. */
export async function readMeanings(language: string): Promise<Meanings> {
  const file = `./${language}.json`;
  const [small = NOTHING, large = NOTHING] = await Promise.all([smallFiles[file]?.(), largeFiles[file]?.()]);
  const texts = whole.has(language) ? known.get(language) : undefined;
  whole.add(language);
  return texts ?? note(language, { ...small, ...large });
}

const READERS = { switch: readSwitchText, server: readMeanings };

/** Have texts of a language read once; where that fails, again with the next text that is said. */
function begin(language: string, part: keyof typeof READERS): void {
  const key = `${language} ${part}`;
  if (language === FALLBACK || asked.has(key)) return;
  asked.add(key);
  READERS[part](language).catch(() => asked.delete(key));
}

/** Have all texts of a language read. */
export const beginServerText = (language: string): void => begin(language, "server");

const sayers = new WeakMap<Meanings, Say>();

function sayerOf(texts: Meanings, language: string, word: (english: string) => string | undefined, t: TFunction): Say {
  const readAll = (unsaid: string) => {
    if (!whole.has(language) && isEnglish(unsaid)) beginServerText(language);
  };
  const made = sayers.get(texts) ?? sayer(texts, word, readAll, (name) => t(`sign.${name}`));
  sayers.set(texts, made);
  return made;
}

/**
 * Say what the server says, a meaning or a sentence, in the language of the console. Its texts are large: those of the
 * running switch are read with the first that is no word of the console, and all with the first sentence that is none of
 * these; what is said stays English so long. Agents and customers get no commands of the switch, which are for those who
 * operate it.
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
    if (said === undefined && hasWords(english)) begin(language, "switch");
    return said ?? english;
  };
  const say = language === FALLBACK ? unchanged : texts ? sayerOf(texts, language, word, t) : unread;
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
