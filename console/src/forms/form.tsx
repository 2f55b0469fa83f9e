/** The form of an object: what it needs, what is set, and all else that it may have. */

import { Stack, TextInput, Title } from "@mantine/core";
import { useMemo, useState } from "react";
import { useTranslation } from "../text/translation";
import { Fields, Meaning, TemplateOfForm, useTemplate } from "./fields";
import { fits, hasMistake, isSet, type Key, type Keys, type Kind, type Mistakes, undeclared } from "./keys";
import { SPECIAL } from "./special";

interface FormProps {
  declared: Kind;
  values: Keys;
  mistakes: Mistakes;
  isReadOnly?: boolean;
  /** Keys that come first, beside those that are needed. */
  first?: readonly string[];
  /** Keys that are left out, because they follow from something else. */
  without?: readonly string[];
  onChange: (name: string, value: unknown) => void;
}

const NONE: readonly string[] = [];

export function Form({
  declared,
  values,
  mistakes,
  isReadOnly = false,
  first = SPECIAL[declared.kind]?.first ?? NONE,
  without = NONE,
  onChange,
}: FormProps) {
  const { t } = useTranslation();
  const special = SPECIAL[declared.kind];
  const mayHaveOne = declared.keys.some((key) => key.name === "template");
  const template = useTemplate(mayHaveOne ? String(values.template ?? "") : "");
  const [wanted, setWanted] = useState("");
  // a field stays where it is while it is filled in
  const [begun] = useState(values);
  const [needed, others] = useMemo(() => {
    const known = declared.keys.filter((key) => !without.includes(key.name));
    const isFirst = ({ name, required }: Key) => required || first.includes(name) || isSet(begun[name]);
    return [known.filter(isFirst), known.filter((key) => !isFirst(key))];
  }, [declared, begun, first, without]);
  const isWrong = (key: Key) => hasMistake(mistakes, key.name);
  const found = (keys: readonly Key[]) => keys.filter((key) => fits(key, wanted) || isWrong(key));
  const rest = found(others);
  const isOpen = wanted !== "" || needed.length === 0 || rest.some(isWrong);
  const ofObject = { special: special?.fields, values, place: "", mistakes, isReadOnly, onChange };
  const unknown = undeclared(declared.keys, values);
  return (
    <Stack gap="sm">
      <p className="meaning">
        <Meaning text={declared.meaning} />
      </p>
      <TextInput
        size="xs"
        maw={360}
        label={t("form.filter", { count: declared.keys.length })}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      <TemplateOfForm value={template}>
        <Fields {...ofObject} keys={found(needed)} />
        {unknown.length > 0 && <p className="quiet">{t("form.unknown", { names: unknown.join(", ") })}</p>}
        {rest.length > 0 && (
          <Others isOpen={isOpen} count={rest.length}>
            <Fields {...ofObject} keys={rest} />
          </Others>
        )}
      </TemplateOfForm>
    </Stack>
  );
}

/** Drawn when it is opened: an object may have a hundred keys. */
function Others({ isOpen, count, children }: { isOpen: boolean; count: number; children: React.ReactNode }) {
  const { t } = useTranslation();
  const [opened, setOpened] = useState(false);
  const shows = isOpen || opened;
  return (
    <details open={shows} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        <Title order={2} size="h5" display="inline">
          {t("form.others", { count })}
        </Title>
      </summary>
      {shows && children}
    </details>
  );
}
