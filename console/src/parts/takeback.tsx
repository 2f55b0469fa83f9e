/** Take back a payment that was booked by mistake: the button in its row, and what it books. */

import { useQuery } from "@tanstack/react-query";
import { client, content, type Row, type Schemas } from "../api/client";
import { amount, less } from "../format";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import { Act } from "./act";
import { useBooked } from "./bookings";
import { Reading } from "./problem";

const KINDS = new Set(["payment", "adjustment", "refund", "zero", "transfer"]);
/** The reference of an entry that takes another one back. */
const UNDO = /^(?:invoice\/\S+ )?undo \d+$/;

/** Take back an entry, once for a key. */
const takeBack = (id: number, key: string, memo?: string) =>
  content(
    client.POST("/payments/{id}/undo", {
      params: { path: { id } },
      headers: { "Idempotency-Key": key },
      body: { memo: memo || undefined },
    }),
  );

/**
 * The way back of a booking, where the person may go it: a transfer is taken back as a whole, by the number of either
 * entry. However often it is pressed, it has one key, and an entry is taken back once.
 */
export function useWayBack(): (booked: Schemas["Booked"]) => (() => Promise<{ said: string }>) | undefined {
  const say = useBooked();
  const may = useMay("POST /payments/{id}/undo");
  return ({ receipts }) => {
    const id = receipts?.[0]?.id;
    if (!may || !id) return undefined;
    const key = crypto.randomUUID();
    return async () => ({ said: say(await takeBack(id, key)) });
  };
}

/** The button, or that the payment was taken back. */
export function TakeBack({ row }: { row: Row }) {
  const { t } = useTranslation();
  const say = useBooked();
  if (!KINDS.has(String(row.kind)) || UNDO.test(String(row.reference)) || Number(row.amount) === 0) return null;
  const booked = String(row.amount);
  const inCurrency = (value: string) => `${amount(value)} ${row.currency ?? ""}`.trim();
  const named = { account: String(row.account), amount: inCurrency(booked), reverse: inCurrency(less("0", booked)) };
  if (row.taken_back_by) return <span className="quiet">{t("payments.taken_back")}</span>;
  return (
    <Act
      isSmall
      isDanger
      needs="POST /payments/{id}/undo"
      act={t("payments.take_back")}
      title={t("payments.take_back_title", named)}
      lead={
        <>
          <Sums account={named.account} booked={booked} />
          <p>{t(row.kind === "transfer" ? "payments.take_back_transfer" : "payments.take_back_lead", named)}</p>
        </>
      }
      asks={[{ name: "memo", label: t("column.memo") }]}
      run={({ memo }, key) => takeBack(Number(row.id), key, memo)}
      said={(booked) => say(booked)}
    />
  );
}

/** The balance as it is now, and without the entry. */
function Sums({ account, booked }: { account: string; booked: string }) {
  const { t } = useTranslation();
  const found = useQuery({
    queryKey: ["balance", account, "now"],
    queryFn: () => content(client.GET("/accounts/{account}/balance", { params: { path: { account } } })),
  });
  if (!found.data) return <Reading of={found} />;
  const { balance } = found.data;
  return <p>{t("payments.take_back_sums", { before: amount(balance), after: amount(less(balance, booked)) })}</p>;
}
