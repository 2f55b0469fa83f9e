/** Bookings in words, and transfers with their way back. */

import { useTranslation } from "react-i18next";
import { client, content, type Schemas } from "../api/client";
import { amount, moment } from "../format";

type Booked = Schemas["Booked"];

/** An amount with its currency. */
export const sum = (value: string, currency: string | null) => `${amount(value)} ${currency ?? ""}`.trim();

/** What was booked, in words. */
export function useBooked(): (booked: Booked) => string {
  const { t } = useTranslation();
  return ({ receipts, waiting }) =>
    waiting
      ? t("payments.waits", { id: waiting.id, amount: amount(waiting.amount), account: waiting.account })
      : (receipts ?? [])
          .flatMap((each) => [
            t(each.repeated ? "payments.repeated" : "payments.booked", {
              account: each.account,
              amount: sum(each.amount, each.currency),
              after: sum(each.after, each.currency),
            }),
            ...(each.expires_at ? [t("payments.valid_until", { moment: moment(each.expires_at, new Date()) })] : []),
          ])
          .join("; ");
}

/** Move money from an account to another one. */
export function transfer(source: string, target: string, sum: string, memo: string, key: string): Promise<Booked> {
  return content(
    client.POST("/transfers", {
      headers: { "Idempotency-Key": key },
      body: { source, target, amount: sum, memo: memo || undefined },
    }),
  );
}

/** What takes a transfer back. However often it is pressed, it has one key: the money moves once. */
export function transferBack(source: string, target: string, sum: string, memo: string): () => Promise<Booked> {
  const key = crypto.randomUUID();
  return () => transfer(target, source, sum, memo, key);
}
