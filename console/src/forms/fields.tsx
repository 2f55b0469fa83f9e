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
import { type ComponentType, createContext, memo, type ReactNode, useContext, useMemo, useState } from "react";
import { flushSync } from "react-dom";
import { pageOf, type Query, type Schemas, send } from "../api/client";
import { rescueFocus } from "../parts/focus";
import { MomentInput } from "../parts/minute";
import { useMay } from "../session";
import { useTranslation } from "../text/translation";
import {
  HIDDEN,
  hasMistake,
  isFlawed,
  isSet,
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
  placesOfRows,
  shown,
} from "./keys";

const NAMES_READ = 1_000;
export const NAMES_SHOWN = 50;
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

/** A template that an object names, and its keys as far as they are known. */
export interface Template {
  name: string;
  keys: Keys;
}

/** The template of the object in a form: its keys hold where the object has none of the name. */
export const TemplateOfForm = createContext<Template | null>(null);

/** Read the template that an object names. */
export function useTemplate(name: string): Template | null {
  const may = useMay("GET /templates/{name}");
  const [wanted] = useDebouncedValue(name, TYPED_MS);
  const found = useQuery({
    queryKey: ["object", "templates", wanted],
    queryFn: () => send<Schemas["DefinitionSheet"]>("get", `/templates/${encodeURIComponent(wanted)}`),
    enabled: may && wanted !== "",
  });
  const keys = name === wanted ? found.data?.keys : undefined;
  return useMemo(() => (name ? { name, keys: (keys ?? {}) as Keys } : null), [name, keys]);
}

/** The value of a key by the template, in words; of keys inside of keys it has none by itself. */
function useTemplateWords(place: string): string {
  const { t } = useTranslation();
  const template = useContext(TemplateOfForm);
  const value = template?.keys[place];
  if (!template || !isSet(value)) return "";
  const { name } = template;
  return value === HIDDEN ? t("form.template_secret", { name }) : t("form.by_template", { value: shown(value), name });
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
  const byTemplate = useTemplateWords(place);
  const template = useContext(TemplateOfForm);
  const flaw = isFlawed(declared, text)
    ? t(declared.highest ? "form.number" : "form.number_from", {
        lowest: declared.lowest || "0",
        highest: declared.highest,
      })
    : "";
  const common = {
    size: "xs",
    label: declared.name,
    description: <Meaning text={declared.meaning} />,
    error: mistakeAt(mistakes, place) || flaw || undefined,
    required: declared.required && !template, // which may have it: the check says what is missing
    withAsterisk: declared.required,
    disabled: isReadOnly,
  } as const;
  const usual = byTemplate || declared.default.join(", ");
  const parts = { common, declared, usual, byTemplate, onChange: change };
  if (declared.many) {
    if (declared.names) return <NamesField {...parts} value={value} />;
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
      const left = byTemplate || (usual ? t("form.usual", { value: usual }) : t("form.left_out"));
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
      return <SecretField {...parts} value={text} />;
    case "moment":
      return <MomentInput {...common} value={text} onChange={change} />;
    case "map":
    case "text_or_map":
      return <MapField {...parts} value={value} />;
    default:
      if (declared.names) return <NameField {...parts} value={text} />;
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
function SecretField({ common, byTemplate, value, onChange }: PartProps<string>) {
  const { t } = useTranslation();
  const [begun] = useState(value);
  return (
    <PasswordInput
      {...common}
      visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
      autoComplete="new-password"
      value={value === HIDDEN ? "" : value}
      placeholder={value === HIDDEN ? t("form.secret_set") : byTemplate || undefined}
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
  /** The value that holds where nothing is entered. */
  usual: string;
  byTemplate: string;
  value: Value;
  onChange: (value: unknown) => void;
}

function NameField({ common, declared, usual, value, onChange }: PartProps<string>) {
  const names = useNames(declared.names, value);
  return (
    <Autocomplete
      {...common}
      data={[...names]}
      limit={NAMES_SHOWN}
      placeholder={usual}
      value={value}
      onChange={onChange}
    />
  );
}

function NamesField({ common, declared, byTemplate, value, onChange }: PartProps<unknown>) {
  const [typed, setTyped] = useState("");
  const names = useNames(declared.names, typed);
  const known = itemsOf(value).map(String);
  return (
    <TagsInput
      {...common}
      data={[...names]}
      searchValue={typed}
      onSearchChange={setTyped}
      limit={NAMES_SHOWN}
      placeholder={known.length > 0 ? undefined : byTemplate}
      value={known}
      onChange={onChange}
      clearable={false}
    />
  );
}

/** Texts by name, a line each; what is typed stays as it is until the field is left. */
function MapField({ common, declared, byTemplate, value, onChange }: PartProps<unknown>) {
  const [typed, setTyped] = useState<string | null>(null);
  const lines = typed ?? mapLines(value);
  return (
    <Textarea
      {...common}
      placeholder={byTemplate || declared.expected}
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
  const places = placesOfRows(declared, value, place);
  const byTemplate = useTemplateWords(place);
  const set = (index: number, pair: Pair) =>
    onChange(
      declared.name,
      pairs.map((each, at) => (at === index ? pair : each)),
    );
  return (
    <Group declared={declared} error={mistakes.get(place)} byTemplate={pairs.length > 0 ? "" : byTemplate}>
      {pairs.map(([left, right], index) => (
        <div key={index} className="pair">
          <TextInput
            size="xs"
            aria-label={`${declared.name} ${index + 1}: ${t("form.from")}`}
            error={mistakes.get(places[index] ?? "")}
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
  const byTemplate = useTemplateWords(place);
  return (
    <Group declared={declared} error={mistakes.get(place)} byTemplate={isSet(value) ? "" : byTemplate} isWide>
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
  const places = placesOfRows(declared, value, place);
  const byTemplate = useTemplateWords(place);
  const set = (changed: readonly unknown[]) => onChange(declared.name, changed);
  const open = (index: number, isOpen: boolean) =>
    setOpened((before) => new Set(isOpen ? [...before, index] : [...before].filter((each) => each !== index)));
  return (
    <Group declared={declared} error={mistakes.get(place)} byTemplate={items.length > 0 ? "" : byTemplate} isWide>
      {items.slice(0, most).map((item, index) => {
        const at = places[index] ?? "";
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
        <Button
          size="compact-xs"
          variant="default"
          onClick={({ currentTarget }) => drawn(() => setMost(most + ITEMS_SHOWN), currentTarget)}
        >
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
  byTemplate,
  isWide,
  hasShortMeaning,
  children,
}: {
  declared: Key;
  error: string | undefined;
  /** The value that holds by the template, where nothing is entered. */
  byTemplate?: string;
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
      {byTemplate && <p className="quiet">{byTemplate}</p>}
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
    <Button
      size="compact-xs"
      variant="default"
      onClick={({ currentTarget }) => drawn(onRemove, currentTarget)}
      aria-label={t("form.remove_of", { name: of })}
    >
      {t("form.remove")}
    </Button>
  );
}

/** Draw what an element of a group changes; where that takes it away, the keyboard goes on at the end of the group. */
export function drawn(change: () => void, element: Element) {
  const group = element.closest("fieldset");
  flushSync(change);
  rescueFocus([...(group?.querySelectorAll<HTMLElement>("button:enabled") ?? [])].at(-1));
}
