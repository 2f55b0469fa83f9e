/** Bookings in words, and transfers. */

import { client, content, type Schemas } from "../api/client";
import { amount, less, moment } from "../format";
import { useTranslation } from "../text/translation";

type Booked = Schemas["Booked"];
type Waiting = Schemas["WaitingSheet"];

/** An amount with its currency. */
export const sum = (value: string, currency: string | null) => `${amount(value)} ${currency ?? ""}`.trim();

/** What was booked, in words. */
export function useBooked(): (booked: Booked) => string {
  const { t } = useTranslation();
  return ({ receipts, waiting }) =>
    waiting
      ? t(waiting.target ? "payments.waits_transfer" : "payments.waits", { id: waiting.id, ...namesOf(waiting) })
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

/** The values that the words about a payment have which waits for a second person. */
export const namesOf = ({ account, target, amount, currency }: Waiting) => ({
  amount: sum(amount, currency),
  account,
  source: account,
  target,
});

/** The question before a payment is booked, by its kind. */
export function useBookingTitle(): (wanted: Waiting) => string {
  const { t } = useTranslation();
  return (wanted) => {
    if (wanted.target) return t("payments.move_title", namesOf(wanted));
    const isRefund = wanted.type === "refund";
    return t(`customer.confirm_${isRefund || wanted.type === "adjustment" ? wanted.type : "payment"}`, {
      amount: amount(isRefund ? less("0", wanted.amount) : wanted.amount),
      currency: wanted.currency ?? "",
      account: wanted.account,
    });
  };
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
