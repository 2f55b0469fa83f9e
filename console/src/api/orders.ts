/** Orders that are carried out once, however often they are given until their answer has come. */

import { useState } from "react";
import { ChangedSince, FileChanged, isStale, OUTCOME_UNKNOWN, Problem, wasRepeated } from "./client";
import { JobFailed } from "./jobs";

const HTTP_CONFLICT = 409;
const HTTP_FAILED = 500;
/** No session, no permission, too many requests. */
const EARLY_REFUSALS = [401, 403, 429];
/** Statuses of a proxy that has not passed the request on; one that it refuses later, by its answer, has others. */
const NOT_FORWARDED = [400, 405, 411, 413, 414, 417, 431];
/** No such thing, another state of it, and an order that it does not fit. */
const OF_STATE = [404, HTTP_CONFLICT, 422];
const REUSED = "key_reused";
const UNDER_WAY = "request_under_way";
/** Refusals of a repeat: the order was carried out before. */
const DONE_BEFORE = ["answer_lost", "secret_not_kept"];

/** An order was carried out before its answer was lost, with something else in what its text leaves out. */
export class DoneOtherwise extends Error {}

const codeOf = (failure: unknown) => (failure instanceof Problem ? (failure.code ?? "") : "");

/** Tell whether a proxy has refused a request, such as one that is too large, before the switch had it. */
const isOfProxy = (failure: unknown): boolean =>
  failure instanceof Problem && !failure.code && NOT_FORWARDED.includes(failure.status);

/** Tell whether what has failed may have been carried out: no answer of the switch says that it was not. */
export function mayBeCarriedOut(failure: unknown): boolean {
  // what stands between, such as a proxy, has problems without a code
  const isKnown = [ChangedSince, DoneOtherwise, FileChanged].some((kind) => failure instanceof kind);
  return !isKnown && !isOfProxy(failure) && [UNDER_WAY, OUTCOME_UNKNOWN, ""].includes(codeOf(failure));
}

/** Tell whether the state of a thing has refused an order, such as one that a colleague has carried out, and no field. */
const isOfState = (failure: Error): boolean =>
  failure instanceof Problem && OF_STATE.includes(failure.status) && !failure.field;

/** Tell whether what has failed says that the page may show what does not hold any more. */
export const isPageOld = (failure: Error): boolean =>
  isStale(failure) ||
  isOfState(failure) ||
  mayBeCarriedOut(failure) ||
  failure instanceof DoneOtherwise ||
  DONE_BEFORE.includes(codeOf(failure));

/**
 * Tell whether a refusal was made before the order itself was looked at, and before it was looked up what the same order
 * had done: that still holds, and other orders are refused, too.
 */
export const isOfAnyOrder = (failure: unknown): boolean =>
  failure instanceof Problem &&
  (failure.status >= HTTP_FAILED || EARLY_REFUSALS.includes(failure.status) || isOfProxy(failure));

/** Orders of one button or form: what is ordered again after an answer that was lost has the same Idempotency-Key. */
export class Orders {
  /** Keys of orders that have not succeeded, by their text: others may be tried until one is ordered again. */
  private readonly keys = new Map<string, string>();
  /** Texts of those whose answer was lost. */
  private readonly lost = new Set<string>();
  /** Whether the last one had been carried out when it was ordered before, and nothing was done now. */
  isRepeat = false;

  /** Tell whether an order may have been carried out although no answer of the switch has come. */
  mayBeDone(text: string): boolean {
    return this.lost.has(text);
  }

  /** Tell whether another order than this one may have been carried out without an answer. */
  mayOtherBeDone(text: string): boolean {
    return this.lost.size > (this.lost.has(text) ? 1 : 0);
  }

  /**
   * Carry an order out. Its text tells it from others, and holds no secret, unless a form holds it as long: it is kept
   * until the answer has come. An order that differs in what its text leaves out gets another key, too, unless the
   * answer to the one before was lost: that one was carried out. `again` is the key, too, where the answer to the same
   * order was lost.
   */
  async carryOut<Answer>(text: string, act: (key: string, again?: string) => Promise<Answer>): Promise<Answer> {
    const known = this.keys.get(text);
    const key = known ?? crypto.randomUUID();
    this.keys.set(text, key);
    const wasLost = this.mayBeDone(text);
    try {
      const answer = await act(key, wasLost ? key : undefined);
      this.keys.delete(text);
      this.lost.delete(text);
      this.isRepeat = wasRepeated(key);
      return answer;
    } catch (failure) {
      const code = failure instanceof Problem && failure.status === HTTP_CONFLICT ? codeOf(failure) : "";
      if (mayBeCarriedOut(failure)) this.lost.add(text);
      else if (!isOfAnyOrder(failure)) this.lost.delete(text);
      // a refused order was not carried out, and may have the same key again; a key that is taken never does, nor has a
      // job that failed another end
      if ((code && code !== UNDER_WAY) || failure instanceof JobFailed) this.keys.delete(text);
      if (code === REUSED && wasLost) throw new DoneOtherwise();
      if (code === REUSED && known) return this.carryOut(text, act);
      throw failure;
    }
  }
}

/** The orders of a component, as long as it is there. */
export const useOrders = (): Orders => useState(() => new Orders())[0];
