/** Searches and reports that a person keeps by name, and those that operators share. */

import { Button, Group, Menu, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ifVersion, Problem, send } from "../api/client";
import type { Narrowing } from "../router";
import { useMay, useSession } from "../session";
import { rescueFocus } from "./focus";
import { ProblemText } from "./problem";
import { leftInBrowser, nameFor, noteTaken, queryOf, searchOf, type View, type ViewPage, viewsOf } from "./saved";
import { useSay } from "./trial";

const EXISTS = "view_exists";
/** Pages whose views are being taken over from the browser, in the session of a person. */
const taking = new Set<string>();

type Content = Pick<View, "name" | "query" | "shared">;
const contentOf = ({ name, query, shared }: View): Content => ({ name, query, shared });

const add = (page: ViewPage, content: Content) => send<View>("post", "/views", { body: { page, ...content } });
const change = (view: View, content: Content) =>
  send<View>("put", `/views/${view.id}`, { body: content, headers: ifVersion(view.version) });
const drop = (view: View) => send<View>("delete", `/views/${view.id}`, { headers: ifVersion(view.version) });

/** Keep on the server what the browser keeps, once for each person; return the names that could not be taken over. */
async function takeOver(person: string, page: ViewPage, views: readonly View[]): Promise<string[]> {
  const own: Content[] = views.filter((each) => each.own);
  const left: string[] = [];
  for (const saved of leftInBrowser(person, page)) {
    const name = nameFor(saved, own);
    try {
      const content = { name: name ?? saved.name, query: queryOf(saved.search), shared: false };
      if (name !== null) own.push(await add(page, content));
      noteTaken(person, page, saved.name);
    } catch (error) {
      // another tab may have taken it over at the same time; else it stays in the browser, and is tried again later
      if (!(error instanceof Problem) || error.code !== EXISTS) left.push(saved.name);
    }
  }
  return left;
}

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
  const queries = useQueryClient();
  const page = props.of;
  const { name: person, account } = useSession();
  const maySee = useMay("GET /views");
  const found = useQuery({ queryKey: ["views", page], queryFn: () => viewsOf(page), enabled: maySee });
  const views = found.data ?? [];
  const [name, setName] = useState("");
  const [notTaken, setNotTaken] = useState<readonly string[]>([]);
  useEffect(() => {
    const key = `${page} ${person}`;
    if (!found.data || taking.has(key) || leftInBrowser(person, page).length === 0) return;
    taking.add(key);
    void takeOver(person, page, found.data).then((left) => {
      taking.delete(key);
      setNotTaken(left);
      if (left.length === 0) void queries.invalidateQueries({ queryKey: ["views", page] });
    });
  }, [found.data, page, person, queries]);
  const act = useMutation({
    mutationFn: (order: () => Promise<unknown>) => order(),
    // another person or another tab may have changed it: the next try begins from what holds now
    onError: () => void found.refetch(),
  });

  /** Change a view and offer the way back. */
  const changeTo = (view: View, content: Content, said: string, onError?: () => void) =>
    act.mutate(
      async () => {
        const made = await change(view, content);
        say(said, () => change(made, contentOf(view)));
      },
      { onError },
    );
  const remove = (view: View) =>
    act.mutate(async () => {
      await drop(view);
      say(t("saved.deleted", { name: view.name }), () => add(page, contentOf(view)));
    });
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (props.apply?.() === false) return;
    const query = queryOf(props.search);
    const before = views.find((each) => each.own && each.name === name.trim());
    const said = t("saved.kept", { name: name.trim() });
    const giveBack = () => setName(name);
    if (before) changeTo(before, { ...contentOf(before), query }, said, giveBack);
    else
      act.mutate(
        async () => {
          const made = await add(page, { name: name.trim(), query, shared: false });
          say(said, () => drop(made));
        },
        { onError: giveBack },
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
  const wasChangeable = useRef(isChangeable);
  useEffect(() => {
    // the menu had the focus of the keyboard, and is gone with the last view
    if (wasChangeable.current && !isChangeable) rescueFocus();
    wasChangeable.current = isChangeable;
  }, [isChangeable]);
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
      {notTaken.length > 0 && (
        <span className="quiet" role="status">
          {t("saved.not_taken", { names: notTaken.join(", ") })}
        </span>
      )}
      <ProblemText error={act.error ?? found.error} />
    </>
  );
}
