/** What is typed over the dispute of a bill, where a colleague may change that meanwhile. */

import type { Schemas } from "../api/client";

/** The fields of a dispute that a person enters. */
export interface Disputed {
  state: Schemas["DisputeState"];
  amount: string;
  reference: string;
  memo: string;
}

/**
 * What was typed over a dispute as it is now: a colleague may have changed it meanwhile, and what was not typed is his.
 * A state that the dispute cannot have any more is left out, and so is an amount beside one that has ended.
 */
export function typedOver(now: Disputed, typed: Partial<Disputed>, states: readonly string[]): Disputed {
  const { state = now.state, amount = now.amount, ...notes } = typed;
  const isOver = now.state === "settled";
  return { ...now, ...notes, amount: isOver ? now.amount : amount, state: states.includes(state) ? state : now.state };
}
