/** Input fields of keys, drawn from their declarations alone. */

import {
  Autocomplete,
  Button,
  Fieldset,
  MultiSelect,
  NativeSelect,
  PasswordInput,
  TagsInput,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ComponentType, memo, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { pageOf, type Query } from "../api/client";
import { MomentInput } from "../parts/minute";
import { useMay } from "../session";
import {
  HIDDEN,
  hasMistake,
  isFlawed,
  itemsOf,
  type Key,
  type Keys,
  linesOf,
  type Mistakes,
  mapLines,
  mapOf,
  mistakeAt,
  type Pair,
  pairsOf,
  pathOf,
  shown,
} from "./keys";

const NAMES_READ = 1_000;
const NAMES_SHOWN = 50;
const ITEMS_SHOWN = 50;
const TYPED_MS = 200;

export interface FieldProps {
  declared: Key;
  value: unknown;
  /** Its place in the object, such as `spend_limits[0].amount`. */
  place: string;
  mistakes: Mistakes;
  isReadOnly: boolean;
  onChange: (name: string, value: unknown) => void;
}

/** The field of one key, with its keys inside, if it has such. */
export const Field = memo(function Field(props: FieldProps) {
  const { declared } = props;
  if (declared.form === "keys") return declared.many ? <Sections {...props} /> : <Section {...props} />;
  if (declared.form === "pair") return <Pairs {...props} />;
  return <Single {...props} />;
});

/** Fields beside each other, as many as fit. */
export function Fields({
  keys,
  special,
  values,
  place,
  mistakes,
  isReadOnly,
  onChange,
}: {
  keys: readonly Key[];
  /** Fields by the name of their key, where the declaration is not all that there is to them. */
  special?: Readonly<Record<string, ComponentType<FieldProps>>>;
  values: Keys;
  place: string;
  mistakes: Mistakes;
  isReadOnly: boolean;
  onChange: (name: string, value: unknown) => void;
}) {
  return (
    <div className="fields">
      {keys.map((key) => {
        const Shown = special?.[key.name] ?? Field;
        return (
          <Shown
            key={key.name}
            declared={key}
            value={values[key.name]}
            place={place ? `${place}.${key.name}` : key.name}
            mistakes={mistakes}
            isReadOnly={isReadOnly}
            onChange={onChange}
          />
        );
      })}
    </div>
  );
}

/** A meaning, with the names of keys and values in it as such. */
export function Meaning({ text }: { text: string }) {
  const parts = text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").split("`");
  return <>{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

function Single({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const { t } = useTranslation();
  const change = (entered: unknown) => onChange(declared.name, entered);
  const text = value === undefined || value === null ? "" : String(value);
  const flaw = isFlawed(declared, text)
    ? t("form.number", { lowest: declared.lowest || "–", highest: declared.highest || "–" })
    : "";
  const common = {
    size: "xs",
    label: declared.name,
    description: <Meaning text={declared.meaning} />,
    error: mistakeAt(mistakes, place) || flaw || undefined,
    required: declared.required,
    withAsterisk: declared.required,
    disabled: isReadOnly,
  } as const;
  const usual = declared.default.join(", ");
  if (declared.many) {
    if (declared.names) return <NamesField common={common} declared={declared} value={value} onChange={change} />;
    if (declared.choices.length > 0) {
      const known = itemsOf(value).map(String);
      return (
        <MultiSelect
          {...common}
          data={[...new Set([...declared.choices, ...known])]}
          value={known}
          placeholder={known.length > 0 ? undefined : usual}
          onChange={change}
          clearable={false}
          hidePickedOptions
        />
      );
    }
    const lines = linesOf(value);
    return (
      <Textarea
        {...common}
        placeholder={usual || t("form.lines")}
        rows={Math.min(8, Math.max(1, lines.split("\n").length))}
        value={lines}
        onChange={(event) => change(event.currentTarget.value.split("\n"))}
      />
    );
  }
  switch (declared.form) {
    case "switch":
    case "choice": {
      const left = usual ? t("form.usual", { value: usual }) : t("form.left_out");
      const known = declared.choices.includes(text.toLowerCase()) ? text.toLowerCase() : text;
      const choices = known && !declared.choices.includes(known) ? [...declared.choices, known] : declared.choices;
      return (
        <NativeSelect
          {...common}
          data={[{ value: "", label: left }, ...choices]}
          value={known}
          onChange={(event) => change(event.currentTarget.value)}
        />
      );
    }
    case "secret":
      return <SecretField common={common} declared={declared} value={text} onChange={change} />;
    case "moment":
      return <MomentInput {...common} value={text} onChange={change} />;
    case "map":
    case "text_or_map":
      return <MapField common={common} declared={declared} value={value} onChange={change} />;
    default:
      if (declared.names) return <NameField common={common} declared={declared} value={text} onChange={change} />;
      return (
        <TextInput
          {...common}
          inputMode={declared.form === "text" ? undefined : "decimal"}
          placeholder={usual}
          value={text}
          rightSection={declared.unit ? <span className="unit">{declared.unit}</span> : undefined}
          rightSectionWidth={declared.unit ? `${declared.unit.length + 2}ch` : undefined}
          onChange={(event) => change(event.currentTarget.value)}
        />
      );
  }
}

interface Common {
  size: "xs";
  label: string;
  description: ReactNode;
  error: string | undefined;
  required: boolean;
  withAsterisk: boolean;
  disabled: boolean;
}

/** A password: it never comes back, and stays as it is while nothing is typed. */
function SecretField({ common, value, onChange }: PartProps<string>) {
  const { t } = useTranslation();
  const [begun] = useState(value);
  return (
    <PasswordInput
      {...common}
      visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
      autoComplete="new-password"
      value={value === HIDDEN ? "" : value}
      placeholder={value === HIDDEN ? t("form.secret_set") : undefined}
      onChange={(event) => onChange(event.currentTarget.value || (begun === HIDDEN ? HIDDEN : ""))}
      leftSection={common.disabled || !value ? undefined : <Forget onForget={() => onChange("")} />}
    />
  );
}

function Forget({ onForget }: { onForget: () => void }) {
  const { t } = useTranslation();
  return (
    <button type="button" className="sort" aria-label={t("form.forget")} title={t("form.forget")} onClick={onForget}>
      ×
    </button>
  );
}

/** Names of the objects of a kind: the first ones, and where there are more those that begin with what is typed. */
export function useNames(kind: string, typed: string): readonly string[] {
  const path = pathOf(kind);
  const may = useMay(`GET ${path}`);
  const [beginning] = useDebouncedValue(typed.trim(), TYPED_MS);
  const read = (query: Query, enabled: boolean) => ({
    queryKey: ["names", path, query],
    queryFn: () => pageOf(path, { fields: "name", ...query }),
    enabled: may && enabled,
    placeholderData: keepPreviousData,
  });
  const first = useQuery(read({ limit: NAMES_READ }, true));
  const begun = useQuery(read({ limit: NAMES_SHOWN, beginning }, Boolean(first.data?.next && beginning)));
  const rows = [...(beginning ? (begun.data?.items ?? []) : []), ...(first.data?.items ?? [])];
  return [...new Set(rows.map((row) => String(row.name)))];
}

interface PartProps<Value> {
  common: Common;
  declared: Key;
  value: Value;
  onChange: (value: unknown) => void;
}

function NameField({ common, declared, value, onChange }: PartProps<string>) {
  const names = useNames(declared.names, value);
  return (
    <Autocomplete
      {...common}
      data={[...names]}
      limit={NAMES_SHOWN}
      placeholder={declared.default.join(", ")}
      value={value}
      onChange={onChange}
    />
  );
}

function NamesField({ common, declared, value, onChange }: PartProps<unknown>) {
  const [typed, setTyped] = useState("");
  const names = useNames(declared.names, typed);
  return (
    <TagsInput
      {...common}
      data={[...names]}
      searchValue={typed}
      onSearchChange={setTyped}
      limit={NAMES_SHOWN}
      value={itemsOf(value).map(String)}
      onChange={onChange}
      clearable={false}
    />
  );
}

/** Texts by name, a line each; what is typed stays as it is until the field is left. */
function MapField({ common, declared, value, onChange }: PartProps<unknown>) {
  const [typed, setTyped] = useState<string | null>(null);
  const lines = typed ?? mapLines(value);
  return (
    <Textarea
      {...common}
      placeholder={declared.expected}
      rows={Math.min(8, Math.max(1, lines.split("\n").length))}
      value={lines}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        onChange(mapOf(event.currentTarget.value, declared.form === "text_or_map"));
      }}
      onBlur={() => setTyped(null)}
    />
  );
}

/** Pairs such as rewrite rules: what a number begins with, and what stands there then. */
function Pairs({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const { t } = useTranslation();
  const pairs = pairsOf(value);
  const set = (index: number, pair: Pair) =>
    onChange(
      declared.name,
      pairs.map((each, at) => (at === index ? pair : each)),
    );
  return (
    <Group declared={declared} error={mistakes.get(place)}>
      {pairs.map(([left, right], index) => (
        <div key={index} className="pair">
          <TextInput
            size="xs"
            aria-label={`${declared.name} ${index + 1}: ${t("form.from")}`}
            error={mistakes.get(`${place}[${index}]`)}
            value={left}
            disabled={isReadOnly}
            onChange={(event) => set(index, [event.currentTarget.value, right])}
          />
          →
          <TextInput
            size="xs"
            aria-label={`${declared.name} ${index + 1}: ${t("form.to")}`}
            value={right}
            disabled={isReadOnly}
            onChange={(event) => set(index, [left, event.currentTarget.value])}
          />
          {!isReadOnly && (
            <Remove
              of={`${declared.name} ${index + 1}`}
              onRemove={() =>
                onChange(
                  declared.name,
                  pairs.filter((_, at) => at !== index),
                )
              }
            />
          )}
        </div>
      ))}
      {!isReadOnly && <Add of={declared.name} onAdd={() => onChange(declared.name, [...pairs, ["", ""]])} />}
    </Group>
  );
}

/** A key with keys of its own. */
function Section({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const values = (value ?? {}) as Keys;
  return (
    <Group declared={declared} error={mistakes.get(place)} isWide>
      <Fields
        keys={declared.keys}
        values={values}
        place={place}
        mistakes={mistakes}
        isReadOnly={isReadOnly}
        onChange={(name, entered) => onChange(declared.name, { ...values, [name]: entered })}
      />
    </Group>
  );
}

/** A list of such keys: each item is opened when it is wanted. */
function Sections({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const { t } = useTranslation();
  const [most, setMost] = useState(ITEMS_SHOWN);
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  const items = itemsOf(value) as readonly Keys[];
  const set = (changed: readonly unknown[]) => onChange(declared.name, changed);
  const open = (index: number, isOpen: boolean) =>
    setOpened((before) => new Set(isOpen ? [...before, index] : [...before].filter((each) => each !== index)));
  return (
    <Group declared={declared} error={mistakes.get(place)} isWide>
      {items.slice(0, most).map((item, index) => {
        const at = `${place}[${index}]`;
        const isWrong = hasMistake(mistakes, at);
        const isOpen = isWrong || opened.has(index);
        return (
          <details key={index} open={isOpen} onToggle={(event) => open(index, event.currentTarget.open)}>
            <summary className={isWrong ? "bad" : undefined}>
              {index + 1}: {shown(item) || t("form.empty")}
            </summary>
            {isOpen && (
              <>
                <Fields
                  keys={declared.keys}
                  values={item}
                  place={at}
                  mistakes={mistakes}
                  isReadOnly={isReadOnly}
                  onChange={(name, entered) =>
                    set(items.map((each, other) => (other === index ? { ...each, [name]: entered } : each)))
                  }
                />
                {!isReadOnly && (
                  <Remove
                    of={`${declared.name} ${index + 1}`}
                    onRemove={() => {
                      setOpened(new Set());
                      set(items.filter((_, other) => other !== index));
                    }}
                  />
                )}
              </>
            )}
          </details>
        );
      })}
      {items.length > most && (
        <Button size="compact-xs" variant="default" onClick={() => setMost(most + ITEMS_SHOWN)}>
          {t("form.more", { count: items.length - most })}
        </Button>
      )}
      {!isReadOnly && (
        <Add
          of={declared.name}
          onAdd={() => {
            open(items.length, true);
            setMost(Math.max(most, items.length + 1));
            set([...items, {}]);
          }}
        />
      )}
    </Group>
  );
}

export function Group({
  declared,
  error,
  isWide,
  hasShortMeaning,
  children,
}: {
  declared: Key;
  error: string | undefined;
  isWide?: boolean;
  /** Whether the first sentence of the meaning is enough, because its children say the rest. */
  hasShortMeaning?: boolean;
  children: ReactNode;
}) {
  return (
    <Fieldset legend={declared.name} className={isWide ? "wide" : undefined} p="xs">
      <p className="meaning">
        <Meaning text={hasShortMeaning ? (/^.*?[.。]/.exec(declared.meaning)?.[0] ?? "") : declared.meaning} />
      </p>
      {error && <p className="bad meaning">{error}</p>}
      {children}
    </Fieldset>
  );
}

export function Add({ of, onAdd }: { of: string; onAdd: () => void }) {
  const { t } = useTranslation();
  return (
    <Button size="compact-xs" variant="default" onClick={onAdd} aria-label={t("form.add_to", { name: of })}>
      {t("form.add")}
    </Button>
  );
}

export function Remove({ of, onRemove }: { of: string; onRemove: () => void }) {
  const { t } = useTranslation();
  return (
    <Button size="compact-xs" variant="default" onClick={onRemove} aria-label={t("form.remove_of", { name: of })}>
      {t("form.remove")}
    </Button>
  );
}
