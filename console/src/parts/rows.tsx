/** Rows of a list of the API, of which a page is read when the last rows are seen. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { pageOf, type Query, type Row } from "../api/client";

const PAGE_ROWS = 200;

interface Rows {
  rows: readonly Row[];
  /** The pages that were read, each in the order of the API. */
  pages: readonly (readonly Row[])[];
  hasMore: boolean;
  error: Error | null;
  again: () => void;
  /** What the table of these rows takes. */
  table: { onEnd: () => void; read: "pending" | "success" | "error" };
}

/** Read a list; more of it is read by `table.onEnd`. */
export function useRows(path: string, query: Query, terms: { enabled?: boolean; refetchInterval?: number } = {}): Rows {
  const found = useInfiniteQuery({
    queryKey: [path, query],
    queryFn: ({ pageParam }) => pageOf(path, { limit: PAGE_ROWS, ...query, cursor: pageParam || undefined }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    ...terms,
  });
  const pages = found.data?.pages.map((page) => page.items) ?? [];
  return {
    rows: pages.flat(),
    pages,
    hasMore: found.hasNextPage,
    error: found.error,
    again: () => void found.refetch(),
    table: {
      onEnd: () => {
        if (found.hasNextPage && !found.isFetching && !found.isError) void found.fetchNextPage();
      },
      read: found.status,
    },
  };
}

/** How many rows there are, or that there are more than were read. */
export function RowCount({ of, shown = of.rows.length }: { of: Rows; shown?: number }) {
  const { t } = useTranslation();
  return (
    <span className="quiet" role="status">
      {t(of.hasMore ? "state.rows_more" : "state.rows", { count: shown })}
    </span>
  );
}
