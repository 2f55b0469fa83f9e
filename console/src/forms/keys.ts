/** Values of an object by the declarations of its keys: what forms show of them, and what is sent. */

import type { Schemas } from "../api/client";

export type Key = Schemas["KeySheet"];
export type Kind = Schemas["ObjectKindSheet"];
/** Keys and values as the API has them: text, lists, and keys inside of keys. */
export type Keys = Record<string, unknown>;
export type Pair = readonly [string, string];
/** Messages by the place of their key, such as `spend_limits[0].amount`. */
export type Mistakes = ReadonlyMap<string, string>;

/** In the place of a password that is set. */
export const HIDDEN = "(hidden)";
/** In the place of a password that differs from the one before. */
export const CHANGED = "(changed)";

/** Kinds whose name is another resource of the API. */
const PATHS: Readonly<Record<string, string>> = { reports: "/report-schedules" };

/** The path of a kind of objects below `/api/v1`. */
export const pathOf = (kind: string): string => PATHS[kind] ?? `/${kind.replaceAll("_", "-")}`;

const isKeys = (value: unknown): value is Keys => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (value === undefined || value === null ? "" : String(value));

/** Items of a list, which may be written without brackets where there is one. */
export function itemsOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null || value === "") return [];
  return Array.isArray(value) ? value : [value];
}

/** A list of texts, one a line. */
export function linesOf(value: unknown): string {
  return itemsOf(value)
    .map((each) => (Array.isArray(each) ? each.join(", ") : text(each)))
    .join("\n");
}

/** Pairs such as rewrite rules; a single one may be written without brackets. */
export function pairsOf(value: unknown): readonly Pair[] {
  const items = itemsOf(value);
  if (items.some(Array.isArray)) return items.map((each) => [text(itemsOf(each)[0]), text(itemsOf(each)[1])]);
  return items.length === 0 ? [] : [[text(items[0]), text(items[1])]];
}

/** Texts by name, in lines such as `486: 480`; of what may be text alone, the text. */
export function mapLines(value: unknown): string {
  if (!isKeys(value)) return text(value);
  return Object.entries(value)
    .map(([name, each]) => `${name}: ${text(each)}`)
    .join("\n");
}

/** The reverse of `mapLines`; a line without a colon is text alone, where the key may be that. */
export function mapOf(lines: string, mayBeText: boolean): unknown {
  const filled = lines.split("\n").filter((line) => line.trim() !== "");
  if (filled.length === 0) return undefined;
  if (mayBeText && filled.length === 1 && !filled[0]?.includes(":")) return filled[0]?.trim();
  return Object.fromEntries(
    filled.map((line) => {
      const [name = "", ...rest] = line.split(":");
      return [name.trim(), rest.join(":").trim()];
    }),
  );
}

/** Whether a key holds anything. */
export function isSet(value: unknown): boolean {
  return !(
    value === undefined ||
    value === null ||
    value === "" ||
    (Array.isArray(value) && value.length === 0) ||
    (isKeys(value) && Object.keys(value).length === 0)
  );
}

/**
 * Keys as they are sent: without what is empty. Keys that no declaration has stay as they are, and so does what is as it
 * was loaded: a list that is empty on purpose holds against one of a template.
 */
export function cleaned(declared: readonly Key[], values: Keys, loaded: Keys = {}): Keys {
  const known = new Map(declared.map((key) => [key.name, key]));
  const found = Object.entries(values).flatMap(([name, value]) => {
    if (name in loaded && isSame(value, loaded[name])) return [[name, value] as const];
    const key = known.get(name);
    const clean = key ? cleanedValue(key, value, loaded[name]) : value;
    return isSet(clean) ? [[name, clean] as const] : [];
  });
  return Object.fromEntries(found);
}

/** Names of keys that no declaration has. */
export const undeclared = (declared: readonly Key[], values: Keys): readonly string[] =>
  Object.keys(values).filter((name) => !declared.some((key) => key.name === name));

function cleanedValue(key: Key, value: unknown, loaded: unknown): unknown {
  if (key.form === "keys") {
    const inside = (each: unknown) => cleaned(key.keys, isKeys(each) ? each : {});
    if (key.many) return itemsOf(value).map(inside).filter(isSet);
    return cleaned(key.keys, isKeys(value) ? value : {}, isKeys(loaded) ? loaded : {});
  }
  if (key.form === "pair") return pairsOf(value).filter(([left, right]) => left || right);
  if (key.form === "map" || key.form === "text_or_map") return value;
  if (key.many) return itemsOf(value).filter((each) => Array.isArray(each) || text(each).trim() !== "");
  return text(value).trim();
}

/** Whether two values are the same, whatever the order of their keys is. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => isSame(each, other[index]));
  }
  if (isKeys(one) && isKeys(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => isSame(one[name], other[name]));
  }
  return one === other;
}

/** What two people made of the same version. */
interface Merged {
  /** Theirs with what was changed here. */
  keys: Keys;
  /** Keys that both have changed to different values. */
  both: readonly string[];
}

/** Lay what was changed here over what another person has made of the same version. */
export function merged(base: Keys, theirs: Keys, mine: Keys): Merged {
  const keys: Keys = { ...theirs };
  const both: string[] = [];
  for (const name of new Set([...Object.keys(base), ...Object.keys(mine)])) {
    if (isSame(base[name], mine[name])) continue;
    if (!isSame(base[name], theirs[name]) && !isSame(theirs[name], mine[name])) both.push(name);
    if (mine[name] === undefined) delete keys[name];
    else keys[name] = mine[name];
  }
  return { keys, both };
}

/**
 * Mistakes by their place in the form, each in the language of the console; those of other objects and of none are under
 * the empty place.
 */
export function mistakesOf(
  kind: string,
  name: string,
  errors: readonly { field: string; detail: string }[],
  inLanguage: (english: string) => string = String,
): Mistakes {
  const found = new Map<string, string>();
  const begin = `${kind}[${name}]`;
  for (const { field, detail } of errors.filter((each) => !isWarning(each))) {
    const place = placeOf(field, kind, begin);
    found.set(place, [found.get(place), inLanguage(said(detail, field))].filter(Boolean).join("\n"));
  }
  return found;
}

/** Places of the rows of a list by what is sent of it: empty rows are left out, so none of them counts. */
export function placesOfRows(declared: Key, value: unknown, place: string): readonly string[] {
  const rows =
    declared.form === "pair"
      ? pairsOf(value).map((pair) => pair.some(Boolean))
      : itemsOf(value).map((each) => isSet(cleaned(declared.keys, isKeys(each) ? each : {})));
  let sent = 0;
  return rows.map((isSent) => (isSent ? `${place}[${sent++}]` : `${place}[empty]`));
}

/** What is wrong at some places together, such as those that a form has no field for. */
export function beside(mistakes: Mistakes, places: readonly string[]): string | undefined {
  return (
    places
      .map((place) => mistakes.get(place))
      .filter(Boolean)
      .join("\n") || undefined
  );
}

/** Mistakes in a key, also in single items of its list, and at single names of its map. */
export function mistakeAt(mistakes: Mistakes, place: string): string | undefined {
  const found = [...mistakes].flatMap(([at, detail]) => {
    if (at.startsWith(`${place}.`)) return [`${at.slice(place.length + 1)}: ${detail}`];
    return at === place || (at.startsWith(`${place}[`) && at.endsWith("]")) ? [detail] : [];
  });
  return found.join("\n") || undefined;
}

/** Whether anything is wrong with a key, or inside of it. */
export function hasMistake(mistakes: Mistakes, place: string): boolean {
  return [...mistakes.keys()].some(
    (at) => at === place || (at.startsWith(place) && /^[.[]/.test(at.slice(place.length))),
  );
}

/** Whether a message is about something that holds nothing up: it says so before it names the key. */
function isWarning({ field, detail }: { field: string; detail: string }): boolean {
  const begin = detail.split(`: ${field}: `)[0] ?? "";
  return begin !== detail && begin.endsWith(": warning");
}

function placeOf(field: string, kind: string, begin: string): string {
  if (field.startsWith(`${begin}.`)) return field.slice(begin.length + 1);
  if (field.startsWith("keys.")) return field.slice("keys.".length);
  // templates and parameters stand by their name
  if (field.startsWith(`${kind}.`)) return field.slice(kind.length + 1).replace(/^[^.]*\.?/, "");
  return "";
}

/** The message without place and key, which the form shows already. */
function said(detail: string, field: string): string {
  const at = detail.indexOf(`${field}: `);
  return at < 0 ? detail : detail.slice(at + field.length + 2);
}

/** Whether a key fits what was typed into the filter. */
export function fits(key: Key, wanted: string): boolean {
  const word = wanted.trim().toLowerCase();
  return (
    !word ||
    key.name.toLowerCase().includes(word) ||
    key.meaning.toLowerCase().includes(word) ||
    key.keys.some((each) => fits(each, word))
  );
}

/** A value in one line of text, for differences. */
export function shown(value: unknown): string {
  if (!isSet(value)) return "";
  if (Array.isArray(value)) {
    return value.map((each) => (Array.isArray(each) ? each.map(text).join(" → ") : shown(each))).join(", ");
  }
  if (isKeys(value)) {
    return Object.entries(value)
      .map(([name, each]) => `${name}: ${shown(each)}`)
      .join("; ");
  }
  return text(value);
}

const FORMS: Readonly<Record<string, RegExp>> = {
  number: /^\d{1,12}$/,
  seconds: /^\d{1,12}(\.\d{1,3})?$/,
  amount: /^\d{1,12}(\.\d+)?$/,
};

/** Whether a number is none, or out of its bounds; variables of the environment are read by the switch. */
export function isFlawed(key: Key, written: string): boolean {
  const form = FORMS[key.form];
  if (!form || !written.trim() || written.includes("${")) return false;
  const number = Number(written);
  return (
    !form.test(written.trim()) ||
    (key.lowest !== "" && number < Number(key.lowest)) ||
    (key.highest !== "" && number > Number(key.highest))
  );
}

/** A key that differs: its place, the value before, and the value after. */
export type Difference = readonly [string, unknown, unknown];

/** A key that two people have left in different states: its place, and the value before, theirs and mine. */
type Conflicting = readonly [string, unknown, unknown, unknown];

/** Keys in which either of two versions differs from the one before, also inside of keys; of long lists the rows. */
export function conflicting(place: string, base: unknown, theirs: unknown, mine: unknown): readonly Conflicting[] {
  if (isSame(base, theirs) && isSame(base, mine)) return [];
  const values = [base, theirs, mine];
  if (values.some(Array.isArray) && values.map(shown).join("").length > LISTS_SHOWN) {
    const differing = (after: unknown) => rowsThatDiffer(place, itemsOf(base), itemsOf(after));
    return conflictingRows(differing(theirs), differing(mine));
  }
  if (!isKeys(base) || !isKeys(theirs) || !isKeys(mine)) return [[place, base, theirs, mine]];
  return [...new Set([base, theirs, mine].flatMap(Object.keys))].flatMap((name) =>
    conflicting(placeIn(place, name), base[name], theirs[name], mine[name]),
  );
}

/** Rows that either has changed; the other one has those of before. */
function conflictingRows(theirs: readonly Difference[], mine: readonly Difference[]): readonly Conflicting[] {
  const keyOf = ([place, before]: Difference) => JSON.stringify([place, before]);
  const found = new Map<string, Conflicting>();
  for (const each of theirs) found.set(keyOf(each), [each[0], each[1], each[2], each[1]]);
  for (const each of mine) {
    const known = found.get(keyOf(each));
    found.set(keyOf(each), [each[0], each[1], known ? known[2] : each[1], each[2]]);
  }
  return [...found.values()];
}

const placeIn = (place: string, name: string): string => (place ? `${place}.${name}` : name);

/** Characters of two lists that are shown as they are, one behind the other. */
const LISTS_SHOWN = 200;

/** Keys that differ, also inside of keys; of long lists the rows that differ, such as `rates #3`. */
export function differences(place: string, before: unknown, after: unknown): readonly Difference[] {
  if (isSame(before, after)) return [];
  const hasList = Array.isArray(before) || Array.isArray(after);
  if (hasList && shown(before).length + shown(after).length > LISTS_SHOWN) {
    return rowsThatDiffer(place, itemsOf(before), itemsOf(after));
  }
  if (!isKeys(before) || !isKeys(after)) return [[place, before, after]];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) =>
    differences(placeIn(place, name), before[name], after[name]),
  );
}

/**
 * Rows that were changed, taken out (by their number before) and put in (by their number after). A row that was moved
 * was taken out and put in: of two rows that differ, the one whose like comes sooner in the other list has stayed.
 */
function rowsThatDiffer(place: string, before: readonly unknown[], after: readonly unknown[]): readonly Difference[] {
  const [old, made] = [before.map((row) => JSON.stringify(row)), after.map((row) => JSON.stringify(row))];
  const [inOld, inMade] = [placesOf(old), placesOf(made)];
  const found: Difference[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < made.length) {
    if (old[i] === made[j]) {
      [i, j] = [i + 1, j + 1];
      continue;
    }
    const untilOld = i < old.length ? nextOf(inMade, old[i], j) : 0;
    const untilMade = j < made.length ? nextOf(inOld, made[j], i) : 0;
    if (untilOld === NEVER && untilMade === NEVER) {
      found.push(...differences(`${place} #${j + 1}`, before[i], after[j]));
      [i, j] = [i + 1, j + 1];
    } else if (j < made.length && (i === old.length || untilOld <= untilMade)) {
      found.push([`${place} #${j + 1}`, undefined, after[j]]);
      j += 1;
    } else {
      found.push([`${place} #${i + 1}`, before[i], undefined]);
      i += 1;
    }
  }
  return found;
}

const NEVER = Number.POSITIVE_INFINITY;

/** The distance from row `from` to the next row with a text. */
function nextOf(places: ReadonlyMap<string, readonly number[]>, text = "", from: number): number {
  return (places.get(text)?.find((at) => at > from) ?? NEVER) - from;
}

/** Places of equal texts in a list. */
function placesOf(texts: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  texts.forEach((text, at) => {
    const known = places.get(text);
    if (known) known.push(at);
    else places.set(text, [at]);
  });
  return places;
}
