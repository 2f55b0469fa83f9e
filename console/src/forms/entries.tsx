/** Entries of a calendar as a table: which days, which hours, whether they are working time. */

import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useTranslation } from "../text/translation";
import { Add, type FieldProps, Group, Remove } from "./fields";
import { asKind, type EntryKind, endsOf, KINDS, kindOf, rangeOf, WEEKDAYS } from "./hours";
import { hasMistake, isSet, itemsOf, type Keys, mistakeAt, placesOfRows } from "./keys";

const NEW: Keys = { weekdays: ["mon", "tue", "wed", "thu", "fri"], from: "09:00", to: "18:00" };

export function EntriesField({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const { t } = useTranslation();
  const entries = itemsOf(value) as readonly Keys[];
  const places = placesOfRows(declared, value, place);
  const set = (changed: readonly Keys[]) => onChange(declared.name, changed);
  const put = (index: number, entry: Keys) => set(entries.map((each, at) => (at === index ? entry : each)));
  return (
    <Group declared={declared} error={mistakes.get(place)} isWide>
      <ol className="entries">
        {entries.map((entry, index) => {
          const at = places[index] ?? "";
          return (
            <li key={index} className={hasMistake(mistakes, at) ? "bad" : undefined}>
              <Entry
                label={`${declared.name} ${index + 1}`}
                entry={entry}
                errorAt={(key) => mistakeAt(mistakes, `${at}.${key}`)}
                isReadOnly={isReadOnly}
                onChange={(changed) => put(index, changed)}
              />
              {mistakes.get(at) && <span className="bad">{mistakes.get(at)}</span>}
              {!isReadOnly && (
                <Remove
                  of={`${declared.name} ${index + 1}`}
                  onRemove={() => set(entries.filter((_, other) => other !== index))}
                />
              )}
            </li>
          );
        })}
      </ol>
      {entries.length === 0 && <p className="quiet">{t("calendar.none")}</p>}
      {!isReadOnly && <Add of={declared.name} onAdd={() => set([...entries, NEW])} />}
    </Group>
  );
}

function Entry({
  label,
  entry,
  errorAt,
  isReadOnly,
  onChange,
}: {
  label: string;
  entry: Keys;
  errorAt: (key: string) => string | undefined;
  isReadOnly: boolean;
  onChange: (entry: Keys) => void;
}) {
  const { t } = useTranslation();
  const kind = kindOf(entry);
  const change = (key: string, entered: unknown) => onChange({ ...entry, [key]: entered });
  const text = (key: string) => (isSet(entry[key]) ? String(entry[key]) : "");
  const said = (key: string) => `${label}: ${t(`calendar.${key}`)}`;
  const field = (key: string, type: "date" | "text", shown: string, onEntered: (entered: string) => void) => (
    <TextInput
      size="xs"
      w={type === "date" ? 140 : 84}
      type={type}
      aria-label={said(key)}
      placeholder={type === "text" ? t(`calendar.${key}_usual`) : undefined}
      value={shown}
      error={errorAt(key === "first" || key === "last" ? "dates" : key)}
      disabled={isReadOnly}
      onChange={(event) => onEntered(event.currentTarget.value)}
    />
  );
  const [first, last] = endsOf(entry.dates);
  return (
    <>
      <NativeSelect
        size="xs"
        aria-label={said("kind")}
        data={KINDS.map((each) => ({ value: each, label: t(`calendar.kinds.${each}`) })).reverse()}
        value={kind}
        disabled={isReadOnly}
        onChange={(event) => onChange(asKind(entry, event.currentTarget.value as EntryKind))}
      />
      {kind === "date" && field("date", "date", text("date"), (entered) => change("date", entered))}
      {kind === "dates" && (
        <>
          {field("first", "date", first, (entered) => change("dates", rangeOf(entered, last)))}–
          {field("last", "date", last, (entered) => change("dates", rangeOf(first, entered)))}
        </>
      )}
      {(kind === "weekdays" || isSet(entry.weekdays)) && (
        <Weekdays
          label={said("weekdays")}
          value={itemsOf(entry.weekdays).map((each) => String(each).toLowerCase())}
          error={errorAt("weekdays")}
          isReadOnly={isReadOnly}
          onChange={(chosen) => change("weekdays", chosen)}
        />
      )}
      <span className="hours">
        {field("from", "text", text("from"), (entered) => change("from", entered))}–
        {field("to", "text", text("to"), (entered) => change("to", entered))}
      </span>
      <NativeSelect
        size="xs"
        aria-label={said("working")}
        data={[
          { value: "yes", label: t("calendar.states.working") },
          { value: "no", label: t("calendar.states.rest") },
        ]}
        value={text("working").toLowerCase() === "no" ? "no" : "yes"}
        error={errorAt("working")}
        disabled={isReadOnly}
        onChange={(event) => change("working", event.currentTarget.value === "no" ? "no" : "")}
      />
    </>
  );
}

function Weekdays({
  label,
  value,
  error,
  isReadOnly,
  onChange,
}: {
  label: string;
  value: readonly string[];
  error: string | undefined;
  isReadOnly: boolean;
  onChange: (chosen: string[]) => void;
}) {
  const { t } = useTranslation();
  return (
    <fieldset className="days" aria-label={label}>
      {WEEKDAYS.map((day) => {
        const isChosen = value.includes(day);
        return (
          <Button
            key={day}
            size="compact-xs"
            variant={isChosen ? "filled" : "default"}
            aria-pressed={isChosen}
            disabled={isReadOnly}
            onClick={() => onChange(WEEKDAYS.filter((each) => (each === day ? !isChosen : value.includes(each))))}
          >
            {t(`calendar.days.${day}`)}
          </Button>
        );
      })}
      {error && <span className="bad">{error}</span>}
    </fieldset>
  );
}
