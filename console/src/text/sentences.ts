/** Sentences of the server in another language: each is found by the template that the server made it of.
 *
 * A template has `{0}`, `{1}` … where the server has put names, numbers, or a further sentence.
 */

/** Texts by the English one. */
export type Meanings = Readonly<Record<string, string>>;

/** Say a text of the server in a language; what has no translation stays as it is. */
export type Say = (english: string) => string;

interface Template {
  /** The text before the first place, and behind the last one: most templates are ruled out by them. */
  begin: string;
  end: string;
  pattern: RegExp;
  /** Whether so few letters stand beside the places that a sentence may be another one that goes on behind a colon. */
  isGeneral: boolean;
  /** The text in the other language, in pieces: every second one is the number of a place. */
  pieces: readonly string[];
}

const PLACE = /\{(\d+)\}/;
/** What stands between the parts of an English sentence, by the names that the files of languages have for it. */
const SIGNS = { semicolon: "; ", colon: ": ", comma: ", " } as const;
type Sign = keyof typeof SIGNS;
/** Nothing that is longer is one sentence; quoted messages of peers are. */
const CHARACTERS_MAX = 1_500;
const LETTERS_MIN = 8;
const SEPARATED_MAX = 12;

/** Whether a text may have another form in another language: numbers and amounts have none. */
export const hasWords = (text: string): boolean => /[a-z]{2}/.test(text);

/** Whether a text that was not said is English, and neither a name nor a number: these have no blanks. */
export const isEnglish = (unsaid: string): boolean => hasWords(unsaid) && unsaid.includes(" ");

/** What may stand in the place behind a part. */
function placeOf(parts: readonly string[], index: number): string {
  // a name and a few letters say too little to be known by: only names and numbers stand beside them
  if (parts[0] === "" && parts.join("").replace(/[^A-Za-z]/g, "").length < LETTERS_MIN) return "\\S*";
  // of two places side by side the first has a name or a number, the second what may follow
  if (parts[index + 1] === "" && index < parts.length - 2) return "[^\\s,;]*";
  // a sentence that begins with a name is none behind a place or a reason: those are said in parts
  return index === 0 && parts[0] === "" ? "(?:(?!: )[\\s\\S])*?" : "[\\s\\S]*?";
}

function templateOf(english: string, said: string): Template {
  const parts = english.split(/\{\d+\}/);
  const pattern = parts
    .map((part, index) => {
      const literal = part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      if (index === parts.length - 1) return literal;
      return `${literal}(${placeOf(parts, index)})`;
    })
    .join("");
  return {
    begin: parts[0] ?? "",
    end: parts[parts.length - 1] ?? "",
    pattern: new RegExp(`^${pattern}$`),
    isGeneral: english.replace(/\{\d+\}|[^A-Za-z]/g, "").length < LETTERS_MIN,
    pieces: said.split(PLACE),
  };
}

const literals = (english: string) => english.replace(/\{\d+\}/g, "").length;

/**
 * Make what says the texts of one language; `word` knows single words, such as states. `noteUnsaid` gets what stays, and
 * `sign` has what stands between parts in that language.
 */
export function sayer(
  texts: Meanings,
  word: (english: string) => string | undefined = () => undefined,
  noteUnsaid: (english: string) => void = () => {},
  sign: (name: Sign) => string = (name) => SIGNS[name],
): Say {
  const templates = Object.keys(texts)
    .filter((english) => english.includes("{0}"))
    .sort((one, other) => literals(other) - literals(one) || (one < other ? -1 : 1)) // the one that says most
    .map((english) => templateOf(english, texts[english] ?? ""));
  function orUnsaid(said: string | undefined, english: string): string {
    if (said === undefined) noteUnsaid(english);
    return said ?? english;
  }

  function say(text: string, known: Map<string, string | undefined>): string | undefined {
    const before = known.get(text);
    if (before !== undefined || known.has(text)) return before;
    known.set(text, undefined);
    const said = text.length > CHARACTERS_MAX ? undefined : find(text, known);
    known.set(text, said);
    return said;
  }

  function find(text: string, known: Map<string, string | undefined>): string | undefined {
    if (!hasWords(text)) return undefined;
    return (
      texts[text] ??
      word(text) ??
      fill(text, known, false) ??
      remedied(text, known) ??
      fill(text, known, true) ??
      parted(text, known)
    );
  }

  /** Say a whole sentence and its remedy behind a colon, which a general template would take for one. */
  function remedied(text: string, known: Map<string, string | undefined>): string | undefined {
    const at = text.indexOf(": ");
    if (at < 0) return undefined;
    const [wrong, remedy] = [text.slice(0, at), text.slice(at + 2)];
    const said = texts[wrong] ?? fill(wrong, known, false);
    return said && `${said}${sign("colon")}${orUnsaid(say(remedy, known), remedy)}`;
  }

  function fill(text: string, known: Map<string, string | undefined>, general: boolean): string | undefined {
    for (const { begin, end, pattern, isGeneral, pieces } of templates) {
      if (isGeneral !== general || !text.startsWith(begin) || !text.endsWith(end)) continue;
      const found = pattern.exec(text);
      if (!found) continue;
      const filled = found.slice(1).map((each) => orUnsaid(say(each, known), each));
      return pieces.map((piece, index) => (index % 2 === 0 ? piece : filled[Number(piece)])).join("");
    }
    return undefined;
  }

  /** Say a text in parts: a field and what is wrong with it, reasons behind a place, several reasons. */
  function parted(text: string, known: Map<string, string | undefined>): string | undefined {
    const field = /^(`[^`]+`) ([\s\S]+)$/.exec(text);
    const wrong = field?.[2] && say(field[2], known);
    if (wrong) return `${field?.[1]} ${wrong}`;
    for (const [name, separator] of Object.entries(SIGNS)) {
      let at = text.indexOf(separator);
      for (let count = 0; at > 0 && count < SEPARATED_MAX; count += 1) {
        const [left, right] = [text.slice(0, at), text.slice(at + separator.length)];
        const [first, second] = [say(left, known), say(right, known)];
        if (first !== undefined || second !== undefined)
          return `${orUnsaid(first, left)}${sign(name as Sign)}${orUnsaid(second, right)}`;
        at = text.indexOf(separator, at + 1);
      }
    }
    return undefined;
  }

  return (english) => {
    if (!english.includes("\n")) return orUnsaid(say(english, new Map()), english);
    const all = new Map<string, string | undefined>();
    const lines = english.split("\n");
    const said = lines.map((line) => say(line, all) ?? (line.trim() ? undefined : line));
    // a template of one sentence may fit several: where all of them are known, each is said by itself
    const isKnown = !(english in texts) && said.every((line) => line !== undefined);
    return (
      (isKnown ? undefined : say(english, all)) ??
      said.map((line, index) => orUnsaid(line, lines[index] ?? "")).join("\n")
    );
  };
}
