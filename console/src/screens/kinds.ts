/** Kinds of objects, which are part of addresses. */

import i18next from "i18next";

/** Whether objects have such a kind: each has a name in every language. */
export const isKind = (kind: string): boolean => i18next.exists(`kind.${kind}`);
