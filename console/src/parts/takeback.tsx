/** Take back a payment that was booked by mistake: the button in its row, and what it books. */

import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { client, content, type Row } from "../api/client";
import { amount, less } from "../format";
import { useBooked } from "../screens/payments";
import { Act } from "./act";
import { Reading } from "./problem";

const KINDS = new Set(["payment", "adjustment", "refund", "zero", "transfer"]);
/** The reference of an entry that takes another one back, which it names by its number. */
const UNDO = /^(?:invoice\/\S+ )?undo (\d+)$/;

const undoneBy = (row: Row) => UNDO.exec(String(row.reference))?.[1];

/** The button, or that an entry among the other rows has taken the payment back. */
export function TakeBack({ row, rows }: { row: Row; rows: readonly Row[] }) {
  const { t } = useTranslation();
  const say = useBooked();
  const id = String(row.id);
  if (!KINDS.has(String(row.kind)) || undoneBy(row) || Number(row.amount) === 0) return null;
  const booked = String(row.amount);
  const named = { account: String(row.account), amount: amount(booked), reverse: amount(less("0", booked)) };
  if (rows.some((each) => undoneBy(each) === id)) return <span className="quiet">{t("payments.taken_back")}</span>;
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
      run={({ memo }, key) =>
        content(
          client.POST("/payments/{id}/undo", {
            params: { path: { id: Number(row.id) } },
            headers: { "Idempotency-Key": key },
            body: { memo: memo || undefined },
          }),
        )
      }
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
