/** Dense tables: rows are drawn where they are seen, so that ten thousand are as quick as ten. */

import { Text } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Row } from "../api/client";
import { type Kind, Value } from "./values";

const ROW_PX = 30;
const DRAWN_AHEAD = 12;

export interface Column {
  name: string;
  kind?: Kind;
  /** What is shown instead of the field itself. */
  show?: (row: Row) => ReactNode;
  isSortable?: boolean;
}

const isAtEnd = (kind: Kind | undefined) => kind === "money" || kind === "number" || kind === "percent";

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
  isLoading?: boolean;
}) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: props.rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PX,
    overscan: DRAWN_AHEAD,
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      if (last && last.index >= props.rows.length - 1) props.onEnd?.();
    },
  });
  const drawn = virtual.getVirtualItems();
  const above = drawn[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (drawn.at(-1)?.end ?? 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section className="table-frame" ref={frame} tabIndex={0} aria-label={props.label}>
      <table aria-rowcount={props.rows.length + 1}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <Heading key={column.name} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <Space px={above} columns={props.columns.length} />}
          {drawn.map(({ index }) => {
            const row = props.rows[index];
            if (!row) return null;
            return (
              <tr key={props.rowKey(row, index)} aria-rowindex={index + 2}>
                {props.columns.map((column) => (
                  <td key={column.name} className={isAtEnd(column.kind) ? "end" : undefined}>
                    {column.show ? (
                      column.show(row)
                    ) : (
                      <Value row={row} name={column.name} kind={column.kind ?? "text"} />
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
          {below > 0 && <Space px={below} columns={props.columns.length} />}
        </tbody>
      </table>
      {props.rows.length === 0 && (
        <Text p="md" className="quiet" role="status">
          {t(props.isLoading ? "state.loading" : "state.empty")}
        </Text>
      )}
    </section>
  );
}

function Heading({ column, sort, onSort }: { column: Column; sort?: string; onSort?: (sort: string) => void }) {
  const { t } = useTranslation();
  const said = t(`column.${column.name}`, { defaultValue: column.name });
  const order = sort === column.name ? "ascending" : sort === `-${column.name}` ? "descending" : undefined;
  const end = isAtEnd(column.kind) ? "end" : undefined;
  if (!column.isSortable || !onSort) {
    return (
      <th scope="col" className={end}>
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
        {said} {order === "ascending" ? "▲" : order === "descending" ? "▼" : ""}
      </button>
    </th>
  );
}

function Space({ px, columns }: { px: number; columns: number }) {
  return (
    <tr>
      <td colSpan={columns} style={{ height: px, padding: 0, border: 0 }} />
    </tr>
  );
}
