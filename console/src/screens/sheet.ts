/** A vendor's sheet of rates before it is sent: its lines, its columns, and which of ours each is taken for. */

/** Columns of a deck that a sheet may have, with words by which others and the console call them. */
export const COLUMNS: Record<string, readonly string[]> = {
  prefix: ["prefix", "code", "codes", "dial code", "dialcode", "destination code", "area code", "前缀"],
  area: ["area", "destination", "country", "description", "name", "zone", "地区"],
  billing_rate: ["rate", "price", "billing rate", "rate/min", "price/min", "rate per minute", "new rate", "价格"],
  interval: ["interval", "increment", "increments", "billing increment", "billing increments", "计费间隔"],
  effective_from: [
    ...["effective", "effective date", "effective from", "valid from", "start date", "date"],
    ...["in force from", "生效时间"],
  ],
  effective_to: ["effective to", "valid to", "end date", "expires", "in force until", "失效时间"],
  billing_cycle: ["billing cycle", "next interval", "next", "cycle s", "周期秒"],
  first_duration: ["first interval", "first duration", "initial", "first period s", "首段 秒"],
  first_rate: ["first rate", "setup rate", "initial rate", "first price", "首段价格"],
  connection_fee: ["connection fee", "connect fee", "setup fee", "接通费"],
  // a column "Minimum" of a carrier is the shortest time that it charges, in seconds
  minimum_charge: ["minimum charge", "最低收费"],
  tax_rate: ["tax", "tax rate", "vat", "tax %", "税率 %"],
  rate_type: ["type", "rate type", "类型"],
};
export const CSV = "text/csv";
const WORKBOOKS: readonly (readonly [RegExp, string])[] = [
  [/\.xlsx$/i, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  [/\.xlsm$/i, "application/vnd.ms-excel.sheet.macroenabled.12"],
];
const SEPARATORS = [",", ";", "\t"];
const SEPARATOR_LINE = /^"?sep=([,;\t])"?$/i;
const LINE_END = /\r\n?|\n/;
const SHOWN_LINES = 30;
/** Lines by which the decimal sign is guessed: few enough to end before what is read of a long file. */
const JUDGED = 100;

const plain = (text: string) => text.trim().toLowerCase().replaceAll("_", " ").replace(/\s+/g, " ");

/** Return the type by which a file is sent. */
export const contentType = (name: string) => WORKBOOKS.find(([ending]) => ending.test(name))?.[1] ?? CSV;

/** The text of a file's beginning, in the encoding that is said, else as the server decodes it: UTF-16, UTF-8 or Windows-1252. */
export function textOf(bytes: Uint8Array<ArrayBuffer>, said = ""): string {
  try {
    return new TextDecoder(said.trim() || encodingOf(bytes)).decode(bytes);
  } catch {
    // the switch knows more encodings than browsers, by other names
    return new TextDecoder(encodingOf(bytes)).decode(bytes);
  }
}

/** The encoding of a file by its beginning, of the names that browsers and the switch know. */
export function encodingOf(bytes: Uint8Array<ArrayBuffer>): string {
  const [first, second, third, fourth] = bytes;
  if ((first === 0xff && second === 0xfe) || (first && second === 0 && third && fourth === 0)) return "utf-16le";
  if ((first === 0xfe && second === 0xff) || (first === 0 && second && third === 0 && fourth)) return "utf-16be";
  try {
    // as a part of a longer text, for its last character may be cut
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return "utf-8";
  } catch {
    return "windows-1252";
  }
}

/** The separator that a line has most of, by the order of the server where it has as many of several. */
function separatorOf(line: string, separators: readonly string[]): string {
  const counts = separators.map((separator) => line.split(separator).length);
  return separators[counts.indexOf(Math.max(...counts))] as string;
}

interface SheetRow {
  /** Number of its last line, from 1. */
  line: number;
  fields: string[];
}

/** The rows of a CSV text, of which quoted fields may have several lines. */
function rowsOf(text: string, separator: string): SheetRow[] {
  const found: SheetRow[] = [];
  let fields: string[] = [];
  let field = "";
  let line = 1;
  let isQuoted = false;
  let wasQuoted = false;
  const endField = () => {
    fields.push(field.trim());
    field = "";
    wasQuoted = false;
  };
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at] as string;
    const isLineEnd = sign === "\n" || sign === "\r";
    if (sign === "\r" && text[at + 1] === "\n") at += 1;
    if (isQuoted && sign === '"') {
      isQuoted = text[at + 1] === '"';
      if (isQuoted) {
        field += sign;
        at += 1;
      }
    } else if (sign === '"' && !isQuoted && !wasQuoted && field === "") isQuoted = wasQuoted = true;
    else if (sign === separator && !isQuoted) endField();
    else if (isLineEnd && !isQuoted) {
      endField();
      found.push({ line, fields });
      fields = [];
    } else field += sign;
    if (isLineEnd) line += 1;
  }
  endField();
  return [...found, { line, fields }];
}

/**
 * The rows of a sheet from its header on, as the server reads them: separated as the header is, or as a line `sep=;`
 * says in its place, which has the header behind it. Blanks and line ends in a field are one blank.
 */
export function rowsFrom(text: string, headerLine: number): string[][] {
  const header = text.split(LINE_END)[headerLine - 1] ?? "";
  const said = SEPARATOR_LINE.exec(header)?.[1];
  const first = said ? headerLine + 1 : headerLine;
  return rowsOf(text, said ?? separatorOf(header, SEPARATORS))
    .filter(({ line }) => line >= first)
    .map(({ fields }) => fields.map((field) => field.replace(/\s+/g, " ")));
}

/**
 * The fields of the first line, which is one row, and of the rows behind it, separated by `separator`, else as a line
 * `sep=;` above them says, else by that of `separators` which the line has most of; blanks within a field stay.
 */
export function firstRows(text: string, separators: readonly string[], separator?: string): string[][] {
  const [line = ""] = text.split(LINE_END, 1);
  const rest = text.slice(line.length).replace(/^(\r\n?|\n)/, "");
  const said = SEPARATOR_LINE.exec(line)?.[1];
  if (said) return firstRows(rest, separators, separator ?? said);
  const sign = separator ?? separatorOf(line, separators);
  return [rowsOf(line, sign)[0]?.fields ?? [], ...rowsOf(rest, sign).map(({ fields }) => fields)];
}

/** Number of the line of the header, from 1: the first in which something is called as a prefix or a price is. */
export function headerLine(text: string): number {
  const names = new Set([...(COLUMNS.prefix ?? []), ...(COLUMNS.billing_rate ?? []), "prefix", "billing rate"]);
  const lines = text.split(LINE_END).slice(0, SHOWN_LINES);
  const found = lines.findIndex((line) => rowsFrom(line, 1)[0]?.some((field) => names.has(plain(field))));
  if (found < 0) return 1;
  return SEPARATOR_LINE.test(lines[found - 1] ?? "") ? found : found + 1;
}

/** Our columns with theirs, as far as their names say. */
export function guessed(header: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const [ours, words] of Object.entries(COLUMNS)) {
    const theirs = header.find((name) => [ours.replaceAll("_", " "), ...words].includes(plain(name)));
    if (theirs && !Object.values(map).includes(theirs)) map[ours] = theirs;
  }
  return map;
}

/**
 * A comma where it is surely the decimal sign of all amounts, and not that of thousands: in one amount other than three
 * digits are behind it, or zeros alone before it.
 */
export function decimalOf(amounts: readonly string[]): string | undefined {
  const isRead = amounts.every((text) => /^(\d+(,\d+)?)?$/.test(text));
  return isRead && amounts.some((text) => /^0+,|,(\d{1,2}|\d{4,})$/.test(text)) ? "," : undefined;
}

/** The columns of a map as far as a header has them all, else those that its names say. */
export function fitting(columns: Record<string, string>, header: readonly string[]): Record<string, string> {
  const fits = Object.values(columns).every((theirs) => !theirs || header.includes(theirs));
  return fits ? columns : guessed(header);
}

export interface SheetMap {
  columns: Record<string, string>;
  header_line: number;
  /** The decimal sign that was said; else it is that of the prices. */
  decimal?: string;
  date_format?: string;
  /** That of the file where it cannot be seen by its beginning. */
  encoding?: string;
}

/** A map with the decimal sign that was said, else that of the first prices in the beginning of the file. */
export function withDecimal(map: SheetMap, beginning: Uint8Array<ArrayBuffer>): SheetMap {
  if (map.decimal) return map;
  const [header = [], ...lines] = rowsFrom(textOf(beginning, map.encoding), map.header_line);
  const price = header.indexOf(map.columns.billing_rate ?? "");
  return { ...map, decimal: decimalOf(lines.slice(0, JUDGED).map((fields) => fields[price] ?? "")) };
}

/** The map as the API takes it: what is not said is left out. */
export function mapText({ columns, header_line, decimal, date_format, encoding }: SheetMap): string {
  const named = Object.fromEntries(Object.entries(columns).filter(([, theirs]) => theirs));
  return JSON.stringify({
    columns: named,
    ...(header_line > 1 ? { header_line } : {}),
    ...(decimal === "," ? { decimal } : {}),
    ...(date_format ? { date_format } : {}),
    ...(encoding?.trim() ? { encoding: encoding.trim() } : {}),
  });
}
