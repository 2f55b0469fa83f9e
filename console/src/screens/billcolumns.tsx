/** The map of a vendor's bill: which column is what, and how its values are written. */

import { Checkbox, Group, Select, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "../text/translation";
import { type BillLook, type BillMap, FIELDS, NEEDED, SEPARATORS, UNITS } from "./bill";

/** What is rarely said of a bill; it is shown where it was said. */
const REST = ["strip", "strip_ours", "startsAtInvite", "includesTax", "encoding", "separator", "isUntitled"] as const;

export function BillColumns({ look, map, onMap }: { look: BillLook; map: BillMap; onMap: (map: BillMap) => void }) {
  const { t } = useTranslation();
  const [isOpened, setOpened] = useState(false);
  const set = (said: Partial<BillMap>) => onMap({ ...map, ...said });
  const text = (field: "format" | "zone" | "strip" | "strip_ours" | "encoding", label: string, placeholder: string) => (
    <TextInput
      label={label}
      placeholder={placeholder}
      value={map[field] ?? ""}
      onChange={(event) => set({ [field]: event.currentTarget.value })}
    />
  );
  const tick = (field: "startsAtInvite" | "includesTax" | "isUntitled", label: string) => (
    <Checkbox
      pb={8}
      label={label}
      checked={map[field] ?? false}
      onChange={(event) => set({ [field]: event.currentTarget.checked })}
    />
  );
  return (
    <Stack gap="xs">
      <Group align="end" gap="xs">
        {FIELDS.map((field) => (
          <Select
            key={field}
            label={t(`bills.${field}`)}
            w={150}
            data={look.columns}
            clearable={!NEEDED.has(field)}
            allowDeselect={!NEEDED.has(field)}
            clearButtonProps={{ "aria-label": t("act.clear") }}
            value={map.columns[field] || null}
            onChange={(theirs) => set({ columns: { ...map.columns, [field]: theirs ?? "" } })}
          />
        ))}
        <Select
          label={t("rates.decimal")}
          w={110}
          data={[".", ","]}
          allowDeselect={false}
          value={look.decimal}
          onChange={(decimal) => set({ decimal: decimal ?? undefined })}
        />
        <Select
          label={t("bills.unit")}
          w={190}
          data={UNITS.map((value) => ({ value, label: t(`bills.unit_${value}`) }))}
          allowDeselect={false}
          value={look.unit}
          onChange={(unit) => set({ unit: unit ?? undefined })}
        />
        {map.columns.billed && (
          <Select
            label={t("bills.billed_unit")}
            w={190}
            data={UNITS.map((value) => ({ value, label: t(`bills.unit_${value}`) }))}
            required
            allowDeselect={false}
            value={look.billedUnit ?? null}
            onChange={(unit) => set({ billedUnit: unit ?? undefined })}
          />
        )}
        {text("format", t("rates.date_format"), "%d.%m.%Y %H:%M:%S")}
        {text("zone", t("bills.zone"), "Europe/Berlin")}
      </Group>
      <details
        open={isOpened || REST.some((field) => map[field])}
        onToggle={(event) => setOpened(event.currentTarget.open)}
      >
        <summary>{t("bills.more")}</summary>
        <Group align="end" gap="xs" pt="xs">
          {text("strip", t("bills.strip"), "00 +")}
          {text("strip_ours", t("bills.strip_ours"), "99")}
          {text("encoding", t("bills.encoding"), look.encoding)}
          <Select
            label={t("bills.separator")}
            w={150}
            data={SEPARATORS.map((value) => ({ value, label: value === "\t" ? t("bills.tab") : value }))}
            clearable
            clearButtonProps={{ "aria-label": t("act.clear") }}
            placeholder={t("bills.separator_found")}
            value={map.separator ?? null}
            onChange={(separator) => set({ separator: separator ?? undefined })}
          />
          {tick("isUntitled", t("bills.untitled"))}
          {tick("startsAtInvite", t("bills.invite"))}
          {tick("includesTax", t("bills.includes_tax"))}
        </Group>
      </details>
    </Stack>
  );
}
