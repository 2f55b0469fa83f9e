/** The money of one account, on its page and on the first page of a customer; files of its invoices. */

import { useQuery } from "@tanstack/react-query";
import { client, content, type Row } from "../api/client";
import { useMay } from "../session";
import { CHARGED_MS, USE_MS } from "./accounts";

/** What the calls of an account have cost, which the server adds up. */
export const USE = ["charged_today", "consumed_today", "consumed_month"];

/** The name of the files of an invoice: each issuer counts its numbers by itself. */
export const nameOf = ({ issuer, number, id }: { issuer?: unknown; number?: unknown; id?: unknown }) =>
  [issuer, number ?? id].filter(Boolean).join("-");

/** The balance of an account with its running calls, read again as in the lists of accounts. */
export const useBalance = (account: string, isWanted = true) =>
  useQuery({
    queryKey: ["account", account, "balance"],
    queryFn: () => moneyOf(account, { calls: true }),
    enabled: useMay("GET /accounts/{account}/balance") && isWanted,
    refetchInterval: USE_MS,
  });

const moneyOf = (account: string, query: { calls?: boolean; consumption?: boolean }) =>
  content(
    client.GET("/accounts/{account}/balance", { params: { path: { account }, query } }),
  ) as unknown as Promise<Row>;

/**
 * The money of an account, read again as in the lists of accounts: its balance and its running calls, and more seldom
 * what it was charged today, for which the server adds up calls. The balance does not wait for that, nor need it.
 */
export function useMoney(account: string) {
  const balance = useBalance(account);
  const use = useQuery({
    queryKey: ["account", account, "use"],
    queryFn: () => moneyOf(account, { consumption: true }),
    enabled: balance.isSuccess,
    refetchInterval: CHARGED_MS,
  });
  const charged = Object.fromEntries(USE.map((name) => [name, use.data?.[name]]));
  const row: Row | undefined = balance.data && { ...balance.data, ...charged, timezone: use.data?.timezone };
  return { balance, use, row };
}
