import { Group, Stack, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import { brand } from "../brand";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";
import { Dialogs } from "./dialogs";
import { Note } from "./note";

let isFirst = true;

/** A page with its title, or why it is not for this person. */
export function Page({
  title,
  needs,
  lacks,
  tools,
  actions,
  children,
}: {
  title: string;
  /** The operations of the API that it is made of. */
  needs?: string | readonly string[];
  /** The operation that the person may not use for what the page is about, where it may for other objects. */
  lacks?: string;
  /** Buttons that need the same operation, such as its downloads. */
  tools?: ReactNode;
  /** Buttons that need operations of their own as well. */
  actions?: ReactNode;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const { may } = useSession();
  const lacking = lacks ?? [needs ?? []].flat().find((operation) => !may.has(operation));
  const isShut = lacking !== undefined;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – ${brand.name}`;
  }, [title]);
  // keyboard and screen reader begin at the title of a page that was gone to, unless a search is being typed meanwhile
  useEffect(() => {
    if (!isFirst && !document.activeElement?.closest("search")) heading.current?.focus({ preventScroll: true });
    isFirst = false;
  }, []);
  return (
    <Dialogs>
      <Stack gap="sm">
        <Group justify="space-between">
          <Title order={1} size="h2" textWrap="balance" tabIndex={-1} ref={heading}>
            {title}
          </Title>
          {tools && !isShut ? (
            <Group gap="xs">
              {tools}
              {actions}
            </Group>
          ) : (
            !isShut && actions
          )}
        </Group>
        {isShut ? <Note why="no_right">{t("state.no_right", { operation: lacking })}</Note> : children}
      </Stack>
    </Dialogs>
  );
}

/** The page of an address that leads nowhere. */
export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t("state.not_found")}>
      <Note why="not_found" action={<Link to="/">{t("nav.overview")}</Link>}>
        {t("state.not_found_lead")}
      </Note>
    </Page>
  );
}

/** A part of a page under its own title. */
export function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <Title order={2} size="h4">
        {title}
      </Title>
      {children}
    </section>
  );
}

/** Facts about one object: names beside their values. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
