import { Group, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "../session";

/** A page with its title, or why it is not for this person. */
export function Page({
  title,
  needs,
  actions,
  children,
}: {
  title: string;
  /** The operation of the API that it is made of. */
  needs?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const { may } = useSession();
  useEffect(() => {
    document.title = `${title} – vosd`;
  }, [title]);
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1} size="h2" textWrap="balance">
          {title}
        </Title>
        {actions}
      </Group>
      {needs && !may.has(needs) ? <Text role="status">{t("state.no_right", { operation: needs })}</Text> : children}
    </Stack>
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
