/** The ways to pages that do what commands of a sentence do: who works in a browser has no terminal. */

import { placesOfCommands } from "../places";
import { usePerson } from "../session";
import { useTranslation } from "../text/translation";
import { Go } from "./go";

export function CommandPages({ text }: { text: string }) {
  const { t } = useTranslation();
  const person = usePerson();
  return person
    ? placesOfCommands(text, person).map(({ name, to, text: own }) => (
        <span key={name}>
          {" · "}
          <Go to={to}>{t([own ?? `nav.${name}`])}</Go>
        </span>
      ))
    : null;
}
