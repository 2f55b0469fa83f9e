/** The steps of a charge, each in a sentence with the amount that it comes to. */

import type { Row } from "../api/client";
import { amount } from "../format";
import { useTranslation } from "../text/translation";
import { useStateWord } from "./values";

const KNOWN = new Set([
  "candidate",
  "connection_fee",
  "cycles",
  "exchange",
  "fee",
  "first_period",
  "free_time",
  "hold_time",
  "minimum_charge",
  "rate",
  "section_cap",
  "sections",
  "tax",
]);

/** The figures of a step that no sentence is known for. */
export function figures(step: Row): string {
  return Object.entries(step)
    .filter(([name, value]) => name !== "step" && value !== null && value !== "")
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** The amount that a step comes to, as it was computed; nothing where it is about seconds. */
function amountOf(step: Row): string {
  const found = step.amount ?? step.raw ?? step.total;
  return found === undefined || found === null ? "" : String(found);
}

export function Steps({ steps, label }: { steps: readonly Row[]; label: string }) {
  const { t } = useTranslation();
  const word = useStateWord();
  const taxRate = steps.find((step) => step.step === "rate")?.tax_rate;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <section className="table-frame" aria-label={label} tabIndex={0}>
      <table>
        <tbody>
          {steps.map((step, index) => {
            const name = String(step.step);
            return (
              <tr key={index}>
                <td className="sentence">
                  {KNOWN.has(name)
                    ? t(`step.${name}`, {
                        ...step,
                        tax_rate: step.tax_rate ?? taxRate,
                        price_per: word(String(step.price_per)),
                      })
                    : `${name}: ${figures(step)}`}
                </td>
                <td className="end">{amount(amountOf(step))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
