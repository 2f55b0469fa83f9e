/** Orders that are carried out once, however often they are given until their answer has come. */

import { useState } from "react";
import { ChangedSince, isStale, Problem, wasRepeated } from "./client";
import { JobFailed } from "./jobs";

const HTTP_CONFLICT = 409;
const REUSED = "key_reused";
const UNDER_WAY = "request_under_way";
const UNKNOWN = "outcome_unknown";
/** Refusals of a repeat: the order was carried out before. */
const DONE_BEFORE = ["answer_lost", "secret_not_kept"];

const codeOf = (failure: unknown) => (failure instanceof Problem ? (failure.code ?? "") : "");

/** Tell whether what has failed may have been carried out: no answer of the switch says that it was not. */
export function mayBeCarriedOut(failure: unknown): boolean {
  // what stands between, such as a proxy, has problems without a code
  return !(failure instanceof ChangedSince) && [UNDER_WAY, UNKNOWN, ""].includes(codeOf(failure));
}

/** Tell whether what has failed says that the page may show what does not hold any more. */
export const isPageOld = (failure: Error): boolean =>
  isStale(failure) || mayBeCarriedOut(failure) || DONE_BEFORE.includes(codeOf(failure));

/** Orders of one button or form: what is ordered again after an answer that was lost has the same Idempotency-Key. */
export class Orders {
  private ordered: string | null = null;
  private key = "";
  /** Whether the last one had been carried out when it was ordered before, and nothing was done now. */
  isRepeat = false;
  private isLost = false;

  /** Tell whether an order may have been carried out although no answer of the switch has come. */
  mayBeDone(text: string): boolean {
    return this.isLost && text === this.ordered;
  }

  /**
   * Carry an order out. Its text tells it from others, and holds no secret, unless a form holds it as long: it is kept
   * until the answer has come. An order that differs in what its text leaves out gets another key, too. `isAgain` says
   * that the answer to the same order was lost.
   */
  async carryOut<Answer>(text: string, act: (key: string, isAgain: boolean) => Promise<Answer>): Promise<Answer> {
    const isAgain = this.mayBeDone(text);
    const isFirst = text !== this.ordered;
    if (isFirst) {
      this.key = crypto.randomUUID();
      this.ordered = text;
    }
    try {
      const answer = await act(this.key, isAgain);
      this.ordered = null;
      this.isRepeat = wasRepeated(this.key);
      return answer;
    } catch (failure) {
      const code = failure instanceof Problem && failure.status === HTTP_CONFLICT ? codeOf(failure) : "";
      this.isLost = mayBeCarriedOut(failure);
      // a refused order was not carried out, and may have the same key again; a key that is taken never does, nor has a
      // job that failed another end
      if ((code && code !== UNDER_WAY) || failure instanceof JobFailed) this.ordered = null;
      if (code === REUSED && !isFirst) return this.carryOut(text, act);
      throw failure;
    }
  }
}

/** The orders of a component, as long as it is there. */
export const useOrders = (): Orders => useState(() => new Orders())[0];
