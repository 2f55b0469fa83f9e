/** Orders that are carried out once, however often they are given until their answer has come. */

import { useState } from "react";
import { Problem } from "./client";

const HTTP_CONFLICT = 409;
const UNDER_WAY = "request_under_way";

/** Orders of one button or form: what is ordered again after an answer that was lost has the same Idempotency-Key. */
export class Orders {
  private ordered: string | null = null;
  private key = "";

  /** Carry an order out. Its text tells it from others, and holds no secret, because it is kept. */
  async carryOut<Answer>(text: string, act: (key: string) => Promise<Answer>): Promise<Answer> {
    if (text !== this.ordered) {
      this.ordered = text;
      this.key = crypto.randomUUID();
    }
    try {
      const answer = await act(this.key);
      this.ordered = null;
      return answer;
    } catch (failure) {
      // a refused order was not carried out, and may have the same key again; a key that is taken never does
      if (failure instanceof Problem && failure.status === HTTP_CONFLICT && failure.code !== UNDER_WAY) {
        this.ordered = null;
      }
      throw failure;
    }
  }
}

/** The orders of a component, as long as it is there. */
export const useOrders = (): Orders => useState(() => new Orders())[0];
