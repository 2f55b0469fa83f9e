/** Rights to see that rights to act need beside them: without them no page has what they act on. */
export const SEEN_BY: Readonly<Record<string, readonly string[]>> = {
  "accounts.change": ["accounts.see"],
  "money.book": ["money.see", "accounts.see"],
  "books.change": ["books.see", "money.see"],
  "rates.change": ["rates.see"],
  "routes.change": ["routes.see"],
  "calls.export": ["calls.see"],
  "calls.explain": ["calls.see"],
  "calls.hang_up": ["calls.see"],
  "calls.test": ["routes.see"],
  block: ["accounts.see", "routes.see", "state.see"],
  "events.see": ["calls.see"],
  "definitions.change": ["definitions.see"],
  "phones.password": ["definitions.see"],
  "installation.run": ["state.see"],
  "people.change": ["people.see"],
};
