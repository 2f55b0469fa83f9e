/** Searches and reports that are kept by name in this browser. */

import { Button, Group, Menu, Select, TextInput } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Narrowing } from "../router";
import { put, type Saved } from "./saved";
import { useSay } from "./trial";

/** Put a view into the storage of the browser, also where the page that shows them was left. */
function store(key: string, name: string, search: Narrowing | undefined, at?: number) {
  const newValue = JSON.stringify(put(JSON.parse(localStorage.getItem(key) ?? "[]") as Saved[], name, search, at));
  localStorage.setItem(key, newValue);
  window.dispatchEvent(new StorageEvent("storage", { key, newValue, storageArea: localStorage }));
}

export function SavedViews(props: {
  of: "cdrs" | "reports";
  /** The name under which the browser keeps them. */
  kept: string;
  /** What is kept when it is saved. */
  search: Narrowing;
  /** Show what is kept; false where it is not complete, and nothing is kept. */
  apply?: () => boolean;
  onChoose: (search: Narrowing) => void;
}) {
  const { t } = useTranslation();
  const say = useSay();
  const [saved] = useLocalStorage<Saved[]>({ key: props.kept, defaultValue: [] });
  const [name, setName] = useState("");
  /** Keep a view under a name, or delete the one that has it, and offer the way back. */
  const change = (named: string, search: Narrowing | undefined, said: string) => {
    const at = saved.findIndex((each) => each.name === named);
    const before = saved[at]?.search;
    store(props.kept, named, search);
    say(said, async () => store(props.kept, named, before, at < 0 ? undefined : at));
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (props.apply?.() === false) return;
    change(name, props.search, t("saved.kept", { name }));
    setName("");
  };
  return (
    <>
      {saved.length > 0 && (
        <>
          <Select
            size="xs"
            aria-label={t(`${props.of}.saved`)}
            placeholder={t(`${props.of}.saved`)}
            data={saved.map((each) => each.name)}
            value={null}
            onChange={(chosen) => {
              const found = saved.find((each) => each.name === chosen);
              if (found) props.onChoose(found.search);
            }}
          />
          <Menu>
            <Menu.Target>
              <Button size="xs" variant="default">
                {t(`${props.of}.delete`)}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {saved.map((each) => (
                <Menu.Item
                  key={each.name}
                  onClick={() => change(each.name, undefined, t("saved.deleted", { name: each.name }))}
                >
                  {each.name}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        </>
      )}
      <form onSubmit={save}>
        <Group gap={4}>
          <TextInput
            size="xs"
            required
            w={140}
            aria-label={t(`${props.of}.name_of`)}
            placeholder={t(`${props.of}.name_of`)}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Button size="xs" variant="default" type="submit">
            {t(`${props.of}.save`)}
          </Button>
        </Group>
      </form>
    </>
  );
}
