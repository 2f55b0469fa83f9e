/** A vendor's sheet of rates before it is sent: its lines, its columns, and which of ours each is taken for. */

/** Columns of a deck that a sheet may have, with words by which others call them. */
export const COLUMNS: Record<string, readonly string[]> = {
  prefix: ["prefix", "code", "codes", "dial code", "dialcode", "destination code", "area code"],
  area: ["area", "destination", "country", "description", "name", "zone"],
  billing_rate: ["rate", "price", "billing rate", "rate/min", "price/min", "rate per minute", "new rate"],
  interval: ["interval", "increment", "increments", "billing increment", "billing increments"],
  effective_from: ["effective", "effective date", "effective from", "valid from", "start date", "date"],
  effective_to: ["effective to", "valid to", "end date", "expires"],
  billing_cycle: ["billing cycle", "next interval", "next"],
  first_duration: ["first interval", "first duration", "initial"],
  first_rate: ["first rate", "setup rate", "initial rate"],
  connection_fee: ["connection fee", "connect fee", "setup fee"],
  minimum_charge: ["minimum charge"],
  tax_rate: ["tax", "tax rate", "vat"],
  rate_type: ["type", "rate type"],
};
export const CSV = "text/csv";
const WORKBOOKS: readonly (readonly [RegExp, string])[] = [
  [/\.xlsx$/i, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  [/\.xlsm$/i, "application/vnd.ms-excel.sheet.macroenabled.12"],
];
const SEPARATORS = [";", "\t", ","];
const SHOWN_LINES = 30;

const plain = (text: string) => text.trim().toLowerCase().replaceAll("_", " ").replace(/\s+/g, " ");

/** Return the type by which a file is sent. */
export const contentType = (name: string) => WORKBOOKS.find(([ending]) => ending.test(name))?.[1] ?? CSV;

/** Split one line of CSV; quotes are taken off. */
export function fieldsOf(line: string, separator: string): string[] {
  const found: string[] = [];
  let field = "";
  let isQuoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at];
    if (sign === '"' && isQuoted && line[at + 1] === '"') {
      field += '"';
      at += 1;
    } else if (sign === '"') isQuoted = !isQuoted;
    else if (sign === separator && !isQuoted) {
      found.push(field.trim());
      field = "";
    } else field += sign;
  }
  return [...found, field.trim()];
}

/** The first lines of a sheet as fields, by the separator that divides them most. */
export function linesOf(text: string): string[][] {
  const lines = text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .slice(0, SHOWN_LINES);
  const counts = SEPARATORS.map((separator) => Math.max(...lines.map((line) => fieldsOf(line, separator).length)));
  const separator = SEPARATORS[counts.indexOf(Math.max(...counts))] ?? ",";
  return lines.map((line) => fieldsOf(line, separator));
}

/** Number of the line of the header, from 1: the first in which something is called as a prefix or a price is. */
export function headerLine(lines: readonly string[][]): number {
  const names = new Set([...(COLUMNS.prefix ?? []), ...(COLUMNS.billing_rate ?? []), "prefix", "billing rate"]);
  const found = lines.findIndex((fields) => fields.filter((field) => names.has(plain(field))).length > 0);
  return found < 0 ? 1 : found + 1;
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

export interface SheetMap {
  columns: Record<string, string>;
  header_line: number;
  decimal?: string;
  date_format?: string;
}

/** The map as the API takes it: what is not said is left out. */
export function mapText({ columns, header_line, decimal, date_format }: SheetMap): string {
  const named = Object.fromEntries(Object.entries(columns).filter(([, theirs]) => theirs));
  return JSON.stringify({
    columns: named,
    ...(header_line > 1 ? { header_line } : {}),
    ...(decimal === "," ? { decimal } : {}),
    ...(date_format ? { date_format } : {}),
  });
}
