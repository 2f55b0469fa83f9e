/** Rows of a list of the API, of which a page is read when the last rows are seen. */

import { Group } from "@mantine/core";
import { infiniteQueryOptions, type keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { pageOf, type Query, type Row } from "../api/client";
import { useTranslation } from "../text/translation";

const PAGE_ROWS = 200;

interface Rows {
  rows: readonly Row[];
  /** The pages that were read, each in the order of the API. */
  pages: readonly (readonly Row[])[];
  hasMore: boolean;
  error: Error | null;
  again: () => void;
  /** What the table of these rows takes. */
  table: { onEnd: () => void; hasMore: boolean; read: "pending" | "success" | "error" };
}

interface Terms {
  enabled?: boolean;
  /** Milliseconds between two readings, for each page that was read: all of them are asked for again. */
  refetchInterval?: number;
  placeholderData?: typeof keepPreviousData;
  /** Read it to its end: rows are looked for that the API does not choose. */
  isWhole?: boolean;
  /** Read at least so many pages of it. */
  pagesMin?: number;
}

/** The pages of a list as they are asked for. */
export const pagesOf = (path: string, query: Query, { refetchInterval, ...terms }: Terms = {}) =>
  infiniteQueryOptions({
    queryKey: ["rows", path, query],
    queryFn: ({ pageParam }) => pageOf(path, { limit: PAGE_ROWS, ...query, cursor: pageParam || undefined }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    refetchInterval: ({ state }) => refetchInterval && refetchInterval * (state.data?.pages.length || 1),
    ...terms,
  });

/** Read a list; more of it is read by `table.onEnd`. */
export function useRows(path: string, query: Query, { isWhole = false, pagesMin = 0, ...terms }: Terms = {}): Rows {
  const found = useInfiniteQuery(pagesOf(path, query, terms));
  const { hasNextPage, isFetching, isError, fetchNextPage } = found;
  const isMoreWanted = isWhole || (found.data?.pages.length ?? 0) < pagesMin;
  useEffect(() => {
    if (isMoreWanted && hasNextPage && !isFetching && !isError) void fetchNextPage();
  }, [isMoreWanted, hasNextPage, isFetching, isError, fetchNextPage]);
  const pages = found.data?.pages.map((page) => page.items) ?? [];
  return {
    rows: pages.flat(),
    pages,
    hasMore: hasNextPage,
    error: found.error,
    again: () => void found.refetch(),
    table: {
      onEnd: () => {
        if (hasNextPage && !found.isFetchingNextPage && !isError) void fetchNextPage();
      },
      hasMore: hasNextPage,
      read: found.isPlaceholderData ? "pending" : found.status,
    },
  };
}

/** How many rows there are, or that there are more than were read; nothing until they are read. */
export function RowCount({ of, shown = of.rows.length }: { of: Rows; shown?: number }) {
  const { t } = useTranslation();
  return (
    <span className="quiet" role="status">
      {of.table.read === "success" && t(of.hasMore ? "state.rows_more" : "state.rows", { count: shown })}
    </span>
  );
}

/** How many rows of a list are shown below it, and the way to the whole list. */
export function Rest({
  page,
  children,
}: {
  page: { items: readonly Row[]; next?: string | null } | undefined;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  if (!page) return null;
  return (
    <Group gap="xs">
      <span className="quiet">{t(page.next ? "customer.latest" : "state.rows", { count: page.items.length })}</span>
      {children}
    </Group>
  );
}
