/** The facts of an alarm, which the server writes as `name: value, name: value`, with words for their names. */

/** The fact that says in which unit the others are that were measured. */
const UNIT = "unit";
const MEASURED = new Set(["value", "limit"]);
const FACT = /(?:^|, )([a-z_]+): /g;

/** Say the names of facts that have a word, and the values by `say`; what begins with no such name is one value. */
export function saidFacts(
  text: string,
  word: (name: string) => string | undefined,
  say: (value: string) => string,
): string {
  const found = [...text.matchAll(FACT)].filter((match) => word(match[1] ?? "") !== undefined);
  if (found[0]?.index !== 0) return say(text);
  const facts = found.map((match, index) => ({
    name: match[1] ?? "",
    value: say(text.slice(match.index + match[0].length, found[index + 1]?.index)),
  }));
  const unit = facts.find(({ name }) => name === UNIT)?.value;
  return facts
    .filter(({ name }) => name !== UNIT)
    .map(({ name, value }) => `${word(name)}: ${value}${unit && MEASURED.has(name) ? ` ${unit}` : ""}`)
    .join(", ");
}
