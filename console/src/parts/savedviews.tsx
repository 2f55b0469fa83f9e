/** Searches and reports that a person keeps by name, and those that operators share. */

import { Button, Group, Menu, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useReducer, useState } from "react";
import { ifVersion, send } from "../api/client";
import { type Narrowing, queryOf, searchOf } from "../narrowing";
import { useMay, useSession } from "../session";
import { useTranslation } from "../text/translation";
import { useRescue } from "./focus";
import { ProblemText } from "./problem";
import {
  dropFromBrowser,
  leftInBrowser,
  nameFor,
  noteTaken,
  type Saved,
  type View,
  type ViewPage,
  viewsOf,
} from "./saved";
import { useSay } from "./trial";

type Content = Pick<View, "name" | "query" | "shared">;
const contentOf = ({ name, query, shared }: View): Content => ({ name, query, shared });

const add = (page: ViewPage, content: Content) => send<View>("post", "/views", { body: { page, ...content } });
const change = (view: View, content: Content) =>
  send<View>("put", `/views/${view.id}`, { body: content, headers: ifVersion(view.version) });
const drop = (view: View) => send<View>("delete", `/views/${view.id}`, { headers: ifVersion(view.version) });

export function SavedViews(props: {
  of: ViewPage;
  /** What is kept when it is saved. */
  search: Narrowing;
  /** Show what is kept; false where it is not complete, and nothing is kept. */
  apply?: () => boolean;
  onChoose: (search: Narrowing) => void;
}) {
  const { t } = useTranslation();
  const say = useSay();
  const client = useQueryClient();
  const page = props.of;
  const { name: person, account } = useSession();
  const maySee = useMay("GET /views");
  const found = useQuery({ queryKey: ["views", page], queryFn: () => viewsOf(page), enabled: maySee });
  const views = found.data ?? [];
  const [name, setName] = useState("");
  /** Show what the browser keeps by now: no list of the server changes with it. */
  const [, lookAgain] = useReducer((looks: number) => looks + 1, 0);
  const act = useMutation({
    mutationFn: (order: () => Promise<unknown>) => order(),
    // another person or another tab may have changed it: the next try begins from what holds now
    onError: () => void found.refetch(),
  });

  /** Show what an order has left: the list comes later, and the next order until then would be about an earlier one. */
  const show = (changed: (list: View[]) => View[]) =>
    client.setQueryData<View[]>(["views", page], (list) => list && changed(list));
  const make = async (content: Content) => {
    const made = await add(page, content);
    show((list) => [...list, made]);
    return made;
  };
  const put = async (view: View, content: Content) => {
    const made = await change(view, content);
    show((list) => list.map((each) => (each.id === made.id ? made : each)));
    return made;
  };
  const end = async (view: View) => {
    await drop(view);
    show((list) => list.filter((each) => each.id !== view.id));
  };
  /** Change a view and offer the way back. */
  const changeTo = (view: View, content: Content, said: string) =>
    act.mutate(async () => {
      const made = await put(view, content);
      say(said, () => put(made, contentOf(view)));
    });
  const remove = (view: View) =>
    act.mutate(async () => {
      await end(view);
      say(t("saved.deleted", { name: view.name }), () => make(contentOf(view)));
    });
  /** Keep a view of the browser on the server; the browser may have it from another person, so each is asked for. */
  const takeOver = (saved: Saved) =>
    act.mutate(async () => {
      // the list that is shown may be of before a change in this tab or another one
      const present = await viewsOf(page);
      const name = nameFor(
        saved,
        present.filter((each) => each.own),
      );
      const query = queryOf(saved.search);
      const made = name === null ? undefined : await make({ name, query, shared: false });
      noteTaken(person, page, saved.name);
      say(t("saved.kept", { name: name ?? saved.name }), async () => {
        if (made) await end(made);
        noteTaken(person, page, saved.name, false);
        lookAgain();
      });
    });
  const removeFromBrowser = ({ name }: Saved) =>
    act.mutate(async () => {
      const putBack = dropFromBrowser(page, name);
      say(t("saved.deleted", { name }), async () => {
        putBack();
        lookAgain();
      });
    });
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (props.apply?.() === false) return;
    const query = queryOf(props.search);
    const said = t("saved.kept", { name: name.trim() });
    act.mutate(
      async () => {
        // it may be pressed before the list has come
        const present = found.data ?? (await viewsOf(page));
        const before = present.find((each) => each.own && each.name === name.trim());
        const made = before
          ? await put(before, { ...contentOf(before), query })
          : await make({ name: name.trim(), query, shared: false });
        say(said, () => (before ? put(made, contentOf(before)) : end(made)));
      },
      { onError: () => setName(name) },
    );
    setName(""); // a second press saves nothing: the name is required
  };
  const own = views.filter((each) => each.own);
  const others = views.filter((each) => !each.own);
  const kept = found.data ? leftInBrowser(person, page) : [];
  const labelled = (each: View) => (each.own ? each.name : t("saved.of_owner", { name: each.name, owner: each.owner }));
  const choices = (views: readonly View[]) => views.map((each) => ({ value: String(each.id), label: labelled(each) }));
  const groups = [
    { group: t("saved.own"), items: choices(own) },
    { group: t("saved.of_others"), items: choices(others) },
    { group: t("saved.in_browser"), items: kept.map((each) => ({ value: `b ${each.name}`, label: each.name })) },
  ].filter(({ items }) => items.length > 0);
  const choose = (chosen: string | null) => {
    const view = views.find((each) => String(each.id) === chosen);
    const inBrowser = kept.find((each) => `b ${each.name}` === chosen);
    if (view) props.onChoose(searchOf(view.query));
    else if (inBrowser) props.onChoose(inBrowser.search);
  };
  const changeable = views.filter((each) => each.may_change);
  const isChangeable = changeable.length > 0;
  useRescue(isChangeable);
  const isKept = kept.length > 0;
  useRescue(isKept);
  if (!maySee) return null;
  return (
    <>
      {groups.length > 0 && (
        <Select
          size="xs"
          aria-label={t(`${page}.saved`)}
          placeholder={t(`${page}.saved`)}
          data={groups.length === 1 && own.length > 0 ? choices(own) : groups}
          value={null}
          onChange={choose}
        />
      )}
      {isChangeable && (
        <Menu>
          <Menu.Target>
            <Button size="xs" variant="default">
              {t(`${page}.delete`)}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {own.map((each) => (
              <Menu.Item key={each.id} onClick={() => remove(each)}>
                {t("saved.delete", { name: each.name })}
              </Menu.Item>
            ))}
            {!account && <Menu.Divider />}
            {!account &&
              changeable.map((each) => {
                const shared = !each.shared;
                const said = t(shared ? "saved.shared" : "saved.unshared", { name: each.name });
                return (
                  <Menu.Item key={each.id} onClick={() => changeTo(each, { ...contentOf(each), shared }, said)}>
                    {t(shared ? "saved.share" : "saved.unshare", { name: labelled(each) })}
                  </Menu.Item>
                );
              })}
          </Menu.Dropdown>
        </Menu>
      )}
      {isKept && (
        <Menu>
          <Menu.Target>
            <Button size="xs" variant="default">
              {t("saved.from_browser")}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {kept.map((each) => (
              <Menu.Item key={each.name} onClick={() => takeOver(each)}>
                {t("saved.take_over", { name: each.name })}
              </Menu.Item>
            ))}
            <Menu.Divider />
            {kept.map((each) => (
              <Menu.Item key={each.name} onClick={() => removeFromBrowser(each)}>
                {t("saved.delete_in_browser", { name: each.name })}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      <form onSubmit={save}>
        <Group gap={4}>
          <TextInput
            size="xs"
            required
            w={140}
            maxLength={64}
            pattern=".*\S.*"
            aria-label={t(`${page}.name_of`)}
            placeholder={t(`${page}.name_of`)}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Button size="xs" variant="default" type="submit">
            {t(`${page}.save`)}
          </Button>
        </Group>
      </form>
      <ProblemText error={act.error ?? found.error} />
    </>
  );
}
