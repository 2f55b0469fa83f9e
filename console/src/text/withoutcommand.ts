/** A clause that sends the reader to a command of the switch: `: see vosd definitions list accounts`. */
const COMMAND = /[\s:：;；,，(（]*(?:see|or|或|见|请见)?\s*`?vosd [a-z].*$/s;

/** A sentence of the server without the command that it ends with: agents and customers have no terminal. */
export const withoutCommand = (text: string): string => text.replace(COMMAND, "");
