/** The facts of an alarm, which the server writes as `name: value, name: value`, with words for their names. */

const FACT = /(?:^|, )([a-z_]+): /g;

/** Say the names of facts that have a word, and the values by `say`; what begins with no such name is one value. */
export function saidFacts(
  text: string,
  word: (name: string) => string | undefined,
  say: (value: string) => string,
): string {
  const found = [...text.matchAll(FACT)].filter((match) => word(match[1] ?? "") !== undefined);
  if (found[0]?.index !== 0) return say(text);
  return found
    .map((match, index) => {
      const value = text.slice(match.index + match[0].length, found[index + 1]?.index);
      return `${word(match[1] ?? "")}: ${say(value)}`;
    })
    .join(", ");
}
