/** The criteria of a routing plan in their order: each decides only between gateways that are equal by those above. */

import { Button, NativeSelect } from "@mantine/core";
import { flushSync } from "react-dom";
import { rescueFocus } from "../parts/focus";
import { useTranslation } from "../text/translation";
import { drawn, type FieldProps, Group, Remove } from "./fields";
import { itemsOf, mistakeAt } from "./keys";
import { withCriterion } from "./plan";

export function OrderField({ declared, value, place, mistakes, isReadOnly, onChange }: FieldProps) {
  const { t } = useTranslation();
  const own = itemsOf(value).map((each) => String(each).toLowerCase());
  const shown = own.length > 0 ? own : declared.default;
  const set = (order: readonly string[]) => onChange(declared.name, order);
  const unused = declared.choices.filter((each) => !shown.includes(each));
  const swap = (index: number, by: number) => {
    const order = [...shown];
    const [moved] = order.splice(index, 1);
    if (moved) order.splice(index + by, 0, moved);
    set(order);
  };
  return (
    <Group declared={declared} error={mistakeAt(mistakes, place)} isWide hasShortMeaning>
      {own.length === 0 && <p className="quiet">{t("plan.usual")}</p>}
      <ol className="order">
        {shown.map((criterion, index) => (
          <li key={criterion}>
            <code>{criterion}</code>
            <span>{t(`plan.criteria.${criterion}`, { defaultValue: "" })}</span>
            {!isReadOnly && (
              <span className="moves">
                <Move of={criterion} to="up" isOff={index === 0} onMove={() => swap(index, -1)} />
                <Move of={criterion} to="down" isOff={index === shown.length - 1} onMove={() => swap(index, 1)} />
                <Remove of={criterion} onRemove={() => set(shown.filter((each) => each !== criterion))} />
              </span>
            )}
          </li>
        ))}
      </ol>
      {!isReadOnly && unused.length > 0 && (
        <NativeSelect
          size="xs"
          maw={280}
          aria-label={t("form.add_to", { name: declared.name })}
          data={[{ value: "", label: t("plan.add") }, ...unused]}
          value=""
          onChange={({ currentTarget: list }) => list.value && drawn(() => set(withCriterion(shown, list.value)), list)}
        />
      )}
      {!isReadOnly && own.length > 0 && (
        <Button
          mt={4}
          size="compact-xs"
          variant="subtle"
          onClick={({ currentTarget }) => drawn(() => set([]), currentTarget)}
        >
          {t("plan.back_to_usual")}
        </Button>
      )}
    </Group>
  );
}

function Move({ of, to, isOff, onMove }: { of: string; to: "up" | "down"; isOff: boolean; onMove: () => void }) {
  const { t } = useTranslation();
  return (
    <Button
      size="compact-xs"
      variant="default"
      disabled={isOff}
      aria-label={t(`plan.${to}`, { name: of })}
      onClick={({ currentTarget }) => {
        flushSync(onMove);
        // at either end it may not be pressed any more
        rescueFocus(currentTarget.parentElement?.querySelector<HTMLElement>("button:enabled"));
      }}
    >
      {to === "up" ? "↑" : "↓"}
    </Button>
  );
}
