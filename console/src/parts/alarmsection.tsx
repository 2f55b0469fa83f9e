/** The section of docs/operations/alarms.md about an alarm, in a dialog; the page is loaded when it is asked for. */

import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import address from "../../../docs/operations/alarms.md?url";
import { Unreachable } from "../api/client";
import type { Narrowing } from "../narrowing";
import { type Block, blocksOf, type Piece, sectionOf } from "../text/section";
import { useTranslation } from "../text/translation";
import { NotLoaded } from "./loaded";
import { Note } from "./note";
import { ProblemText } from "./problem";

const HTTP_NOT_FOUND = 404;

/** Read the page as a file: a script that has not come is never asked for again. A switch without it has another console. */
async function readPage(): Promise<string> {
  const answer = await fetch(address).catch((cause: unknown) => {
    throw new Unreachable("the page of alarms has not come", { cause });
  });
  if (answer.status === HTTP_NOT_FOUND) throw new NotLoaded("there is no such page of alarms");
  if (!answer.ok) throw new Unreachable(answer.statusText);
  return answer.text();
}

export function AlarmSection({
  alarm,
  title,
  narrowing,
  onClose,
}: {
  /** Name of the alarm; nothing is open without it. */
  alarm?: string;
  title: string;
  /** Narrowing of the view behind it, which links to other alarms keep. */
  narrowing: Narrowing;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const page = useQuery({
    queryKey: ["page of alarms"],
    queryFn: readPage,
    enabled: alarm !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    throwOnError: (error) => error instanceof NotLoaded,
  });
  const section = page.data !== undefined && alarm ? sectionOf(page.data, alarm) : "";
  return (
    <Modal
      opened={alarm !== undefined}
      onClose={onClose}
      title={title}
      size="lg"
      closeButtonProps={{ "aria-label": t("act.close") }}
    >
      <ProblemText error={page.error} again={() => page.refetch()} />
      {page.isPending && <Note why="loading">{t("state.loading")}</Note>}
      {page.data !== undefined && !section && <Note why="not_found">{t("alarms.no_section")}</Note>}
      <div lang="en">
        {blocksOf(section).map((block, index) => (
          <BlockOf key={index} block={block} narrowing={narrowing} />
        ))}
      </div>
    </Modal>
  );
}

function BlockOf({ block, narrowing }: { block: Block; narrowing: Narrowing }) {
  const items = block.items.map((pieces, index) => {
    const text = <Pieces key={index} pieces={pieces} narrowing={narrowing} />;
    return block.kind === "p" ? text : <li key={index}>{text}</li>;
  });
  const List = block.kind;
  return <List>{items}</List>;
}

function Pieces({ pieces, narrowing }: { pieces: readonly Piece[]; narrowing: Narrowing }) {
  return pieces.map((piece, index) => (
    <Fragment key={index}>
      <PieceOf piece={piece} narrowing={narrowing} />
    </Fragment>
  ));
}

/** Other alarms are led to; of other pages there is the name, for the console has none of them. */
function PieceOf({ piece, narrowing }: { piece: Piece; narrowing: Narrowing }) {
  if (piece.kind === "text") return piece.text;
  if (piece.kind === "code") return <code>{piece.text}</code>;
  const inside = <Pieces pieces={piece.pieces} narrowing={narrowing} />;
  if (piece.kind === "strong") return <strong>{inside}</strong>;
  if (piece.kind === "em") return <em>{inside}</em>;
  if (/^#[a-z_]+$/.test(piece.to))
    return (
      <Link to="/alarms" search={{ ...narrowing, about: piece.to.slice(1) }}>
        {inside}
      </Link>
    );
  return (
    <>
      {inside} <span className="quiet">→ {piece.to.replace(/^(\.\.\/)+|#.*$/g, "")}</span>
    </>
  );
}
