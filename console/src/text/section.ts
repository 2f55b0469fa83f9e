/** A section of a page of the documents, as blocks of pieces that are shown as text: no part of it is HTML. */

export type Piece =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong"; pieces: readonly Piece[] }
  | { kind: "em"; pieces: readonly Piece[] }
  | { kind: "link"; to: string; pieces: readonly Piece[] };

export interface Block {
  kind: "p" | "ol" | "ul";
  items: readonly (readonly Piece[])[];
}

const HEADING = /^#{2,3} /m;
const ITEM = /^(\d+\.|-) /;
/** Code, strong, emphasised, and a link, whose text may hold code. */
const MARKED = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[((?:`[^`]*`|[^\]])+)\]\(([^)\s]+)\)/g;

/** The section whose heading has a name as code, without the heading; empty where there is none. */
export function sectionOf(page: string, name: string): string {
  const heading = page.split("\n").find((line) => line.startsWith("### ") && line.includes(`\`${name}\``));
  if (!heading) return "";
  const begin = page.indexOf(`${heading}\n`) + heading.length + 1;
  const behind = page.slice(begin);
  const end = behind.search(HEADING);
  return (end < 0 ? behind : behind.slice(0, end)).trim();
}

export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  const plain = (until: number) => {
    if (until > done) pieces.push({ kind: "text", text: text.slice(done, until) });
  };
  for (const found of text.matchAll(MARKED)) {
    const [whole, code, strong, em, link, to] = found;
    plain(found.index);
    done = found.index + whole.length;
    if (code !== undefined) pieces.push({ kind: "code", text: code });
    else if (strong !== undefined) pieces.push({ kind: "strong", pieces: piecesOf(strong) });
    else if (em !== undefined) pieces.push({ kind: "em", pieces: piecesOf(em) });
    else pieces.push({ kind: "link", to: to ?? "", pieces: piecesOf(link ?? "") });
  }
  plain(text.length);
  return pieces;
}

/** Paragraphs and lists; lines of one paragraph or item are joined. */
export function blocksOf(section: string): Block[] {
  const blocks: { kind: Block["kind"]; items: string[] }[] = [];
  let isOpen = false;
  for (const line of section.split("\n")) {
    const mark = ITEM.exec(line)?.[0];
    const kind = mark === undefined ? "p" : mark === "- " ? "ul" : "ol";
    const last = blocks.at(-1);
    if (line.trim() === "") isOpen = false;
    else if (mark === undefined && isOpen && last) last.items.push(`${last.items.pop()} ${line.trim()}`);
    else if (mark !== undefined && isOpen && last?.kind === kind) last.items.push(line.slice(mark.length));
    else blocks.push({ kind, items: [line.slice(mark?.length ?? 0).trim()] });
    if (line.trim() !== "") isOpen = true;
  }
  return blocks.map(({ kind, items }) => ({ kind, items: items.map(piecesOf) }));
}
