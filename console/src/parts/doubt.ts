/** Whether a password may be set although no answer has said so: what is asked next is refused, or its session is over. */

let isDoubtful = false;

/** Note that the answer to a new password was lost, or that it is known again which password holds. */
export function notePasswordDoubt(isLost: boolean): void {
  isDoubtful = isLost;
}

/** Whether the answer to the last new password was lost. */
export const isPasswordDoubtful = (): boolean => isDoubtful;
