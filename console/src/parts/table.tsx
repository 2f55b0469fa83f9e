/** Dense tables: rows are drawn where they are seen, so that ten thousand are as quick as ten. */

import { Button } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type FocusEvent,
  type KeyboardEvent,
  memo,
  type ReactNode,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from "react";
import { flushSync } from "react-dom";
import type { Row } from "../api/client";
import { useTranslation } from "../text/translation";
import { Note } from "./note";
import { isOnPaper, useIsPrinted } from "./paper";
import { InRow, type Kind, Value } from "./values";

const ROW_PX = 30;
const DRAWN_AHEAD = 12;
const PAGE_ROWS = 15;
/** Most rows on paper or in a copy: a page stands still for some seconds while it draws them, and paper ends somewhere. */
const PAPER_ROWS = 3_000;
/** The first row below the heading, as `aria-rowindex` counts. */
const FIRST_INDEX = 2;
/** Steps of the keys that go from row to row. */
const STEPS: Record<string, number> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: PAGE_ROWS,
  PageUp: -PAGE_ROWS,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};
/** Keys of these are theirs. A row is opened by what has `data-row`, else by its first link. */
const ENTRIES = "input:not([type=checkbox]), select, textarea, [role=combobox]";

export type Read = "pending" | "success" | "error";

export interface Column {
  name: string;
  kind?: Kind;
  /** What is shown instead of the field itself. */
  show?: (row: Row) => ReactNode;
  isSortable?: boolean;
}

const AT_END: ReadonlySet<Kind | undefined> = new Set(["money", "number", "percent", "share"] as const);
/** Whether a table is being copied with the rows around those that are drawn: all of them are, for that moment. */
function useCopied(frame: RefObject<HTMLElement | null>): boolean {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    const draw = () => {
      const selection = getSelection();
      const spaces = [...(frame.current?.querySelectorAll("[data-space]") ?? [])];
      if (!selection || !spaces.some((space) => selection.containsNode(space))) return;
      // the browser copies what is selected behind this
      flushSync(() => setCopied(true));
      setTimeout(() => setCopied(false));
    };
    document.addEventListener("copy", draw);
    return () => document.removeEventListener("copy", draw);
  }, [frame]);
  return isCopied;
}

const isAtEnd = (kind: Kind | undefined) => AT_END.has(kind);
/** Kinds that are read to their end: their cells have several lines. */
const WHOLE: ReadonlySet<Kind | undefined> = new Set(["sentence", "words", "facts", "keys"] as const);
const isWhole = (kind: Kind | undefined) => WHOLE.has(kind);

export function Table(props: {
  label: string;
  columns: readonly Column[];
  rows: readonly Row[];
  rowKey: (row: Row, index: number) => string;
  /** Field of the present order, with a minus for the last first. */
  sort?: string;
  onSort?: (sort: string) => void;
  /** Called when the last rows are seen. */
  onEnd?: () => void;
  /** Whether there are more rows than were read. */
  hasMore?: boolean;
  /**
   * How far its rows are read; one that could not be read is not empty, and why stands above it. Rows that are there
   * while others are read are those of before: they are shown grey.
   */
  read?: Read;
  /** Take away what narrows the table; offered where no row is left. */
  onClear?: () => void;
  /** Said where there are no rows, in place of the usual words. */
  empty?: string;
  /** Called where the pointer or the focus of the keyboard comes into the table or leaves it. */
  onUse?: (isUsed: boolean) => void;
  /** Whether the subject of a row is gone: it is shown grey. */
  isGone?: (row: Row) => boolean;
}) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const wanted = useRef<number | null>(null);
  const focused = useRef<{ element: HTMLElement; index: number } | null>(null);
  /** The row that had the focus until it was scrolled so far away that it is not drawn any more. */
  const away = useRef<number | null>(null);
  const usedBy = useRef({ pointer: false, keys: false });
  const isLoading = props.read === "pending";
  const noteUse = (by: "pointer" | "keys", isUsed: boolean) => {
    usedBy.current[by] = isUsed;
    props.onUse?.(usedBy.current.pointer || usedBy.current.keys);
  };
  const virtual = useVirtualizer({
    count: props.rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PX,
    overscan: DRAWN_AHEAD,
    onChange: (instance) => {
      if (isOnPaper()) return; // on paper its end is in sight, and nothing more is read for it
      const last = instance.getVirtualItems().at(-1);
      if (last && last.index >= props.rows.length - 1) props.onEnd?.();
    },
  });
  const rowAt = (index: number) =>
    frame.current?.querySelector<HTMLElement>(`tr[aria-rowindex="${index + FIRST_INDEX}"]`);
  // a row that is far away is drawn first, and takes the focus then
  useEffect(() => {
    const row = wanted.current === null ? null : rowAt(wanted.current);
    if (!row) return;
    wanted.current = null;
    row.focus({ preventScroll: true });
  });
  // what had the focus is gone with its row, or from it: the keyboard goes on where it was
  useEffect(() => {
    const lost = focused.current;
    if (!lost || lost.element.isConnected || document.activeElement !== document.body) return;
    focused.current = null;
    const taker = rowAt(Math.min(lost.index, props.rows.length - 1));
    (taker ?? frame.current)?.focus({ preventScroll: true });
    away.current = taker ? null : lost.index;
  });
  const onFocus = ({ target }: FocusEvent<HTMLElement>) => {
    const row = target.closest<HTMLElement>("tr[tabindex]");
    if (row) focused.current = { element: target, index: Number(row.ariaRowIndex) - FIRST_INDEX };
    away.current = null;
    noteUse("keys", target.matches(":focus-visible"));
  };
  const onBlur = ({ target, currentTarget, relatedTarget }: FocusEvent<HTMLElement>) => {
    if (!currentTarget.contains(relatedTarget)) noteUse("keys", false);
    if (relatedTarget?.closest("[role=dialog]")) return; // which gives it back
    // an element that is being removed loses the focus before it is gone
    queueMicrotask(() => {
      if (target.isConnected && focused.current?.element === target) focused.current = null;
    });
  };
  const onKey = (event: KeyboardEvent<HTMLElement>) => {
    const target = event.target as HTMLElement;
    const row = target.closest<HTMLElement>("tr[tabindex]");
    const present = row ? Number(row.ariaRowIndex) - FIRST_INDEX : (away.current ?? -1);
    const step = STEPS[event.key];
    if (step !== undefined && props.rows.length > 0 && !target.matches(ENTRIES) && !hasModifier(event)) {
      event.preventDefault();
      const next = Math.min(Math.max(present + step, 0), props.rows.length - 1);
      wanted.current = next;
      virtual.scrollToIndex(next);
      const drawnAlready = rowAt(next);
      if (drawnAlready) {
        wanted.current = null;
        drawnAlready.focus({ preventScroll: true });
      }
    } else if (row && target === row && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      const of = (selector: string) => row.querySelector<HTMLElement>(selector);
      (event.key === " " ? of("input[type=checkbox]") : (of("[data-row]") ?? of("a, button")))?.click();
    }
  };
  // paper is not scrolled, nor is what is copied with all of the page: they have all rows that were read
  const isPrinted = useIsPrinted();
  const isCopied = useCopied(frame);
  const hasAll = isPrinted || isCopied;
  const seen = virtual.getVirtualItems();
  const drawn = hasAll ? props.rows.slice(0, PAPER_ROWS).map((_, index) => ({ index, start: 0, end: 0 })) : seen;
  const left = hasAll ? props.rows.length - drawn.length : 0;
  const above = drawn[0]?.start ?? 0;
  const isMeasured = props.columns.some(({ kind }) => isWhole(kind));
  const below = hasAll ? 0 : virtual.getTotalSize() - (drawn.at(-1)?.end ?? 0);
  return (
    <section
      className="table-frame"
      ref={frame}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
      tabIndex={0}
      aria-label={props.label}
      aria-busy={isLoading}
      onKeyDown={onKey}
      onFocus={onFocus}
      onBlur={onBlur}
      onPointerEnter={() => noteUse("pointer", true)}
      onPointerLeave={() => noteUse("pointer", false)}
    >
      <table aria-rowcount={props.hasMore ? -1 : props.rows.length + 1}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <Heading key={column.name} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <InRow value={true}>
          <tbody>
            {above > 0 && <Space px={above} columns={props.columns.length} />}
            {drawn.map(({ index }) => {
              const row = props.rows[index];
              if (!row) return null;
              return (
                <tr
                  key={props.rowKey(row, index)}
                  ref={isMeasured ? virtual.measureElement : undefined}
                  data-index={index}
                  aria-rowindex={index + FIRST_INDEX}
                  tabIndex={-1}
                  className={isLoading || props.isGone?.(row) ? "gone" : undefined}
                >
                  <Cells row={row} columns={props.columns} />
                </tr>
              );
            })}
            {below > 0 && <Space px={below} columns={props.columns.length} />}
            {left > 0 && (
              <tr>
                <td colSpan={props.columns.length}>{t("state.unprinted", { rows: drawn.length, more: left })}</td>
              </tr>
            )}
          </tbody>
        </InRow>
      </table>
      {props.rows.length === 0 && props.read !== "error" && (
        <Note
          why={isLoading ? "loading" : "empty"}
          action={
            !isLoading &&
            props.onClear && (
              <Button size="xs" variant="default" onClick={props.onClear}>
                {t("state.clear")}
              </Button>
            )
          }
        >
          {isLoading ? t("state.loading") : (props.empty ?? t("state.empty"))}
        </Note>
      )}
    </section>
  );
}

/** Cells of a row, drawn again where the row or the columns are others: not because it was scrolled. */
const Cells = memo(function Cells({ row, columns }: { row: Row; columns: readonly Column[] }) {
  return columns.map((column) => {
    const shown = column.show ? column.show(row) : <Value row={row} name={column.name} kind={column.kind ?? "text"} />;
    return (
      <td key={column.name} className={isAtEnd(column.kind) ? "end" : undefined}>
        {isWhole(column.kind) ? <div className="whole">{shown}</div> : shown}
      </td>
    );
  });
});

const hasModifier = (event: KeyboardEvent) => event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;

function Heading({ column, sort, onSort }: { column: Column; sort?: string; onSort?: (sort: string) => void }) {
  const { t } = useTranslation();
  const said = t(`column.${column.name}`, { defaultValue: column.name });
  const order = sort === column.name ? "ascending" : sort === `-${column.name}` ? "descending" : undefined;
  const end = isAtEnd(column.kind) ? "end" : undefined;
  if (!column.isSortable || !onSort) {
    return (
      <th scope="col" className={end} title={t(`column_hint.${column.name}`, { defaultValue: "" }) || undefined}>
        {said}
      </th>
    );
  }
  return (
    <th scope="col" aria-sort={order ?? "none"} className={end}>
      <button
        type="button"
        className="sort"
        onClick={() => onSort(order === "ascending" ? `-${column.name}` : column.name)}
      >
        {said} <SortMark order={order} />
      </button>
    </th>
  );
}

/** The order of a column: one arrow for that of the table, both where another column has it. `aria-sort` says the same. */
function SortMark({ order }: { order: "ascending" | "descending" | undefined }) {
  return (
    <svg
      className={order ? "sort-mark chosen" : "sort-mark"}
      viewBox="0 0 10 14"
      width="10"
      height="14"
      aria-hidden="true"
    >
      {order === undefined && <path d="M5 1 9 6H1zM5 13 1 8h8z" />}
      {order === "ascending" && <path d="M5 2 10 11H0z" />}
      {order === "descending" && <path d="M5 12 0 3h10z" />}
    </svg>
  );
}

function Space({ px, columns }: { px: number; columns: number }) {
  return (
    <tr data-space="">
      <td colSpan={columns} style={{ height: px, padding: 0, border: 0 }} />
    </tr>
  );
}
