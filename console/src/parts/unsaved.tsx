/** Ask before entered values are lost: by a link, by going back, by closing the window or a dialog. */

import { Button, Group, Modal, Stack } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "../text/translation";

interface Unsaved {
  /** The question, which the form shows among its parts. */
  question: ReactNode;
  /** Close a dialog or a form: at once where nothing is entered, else after the question. */
  leave: (close: () => void) => void;
  /** Say that all is saved, before going to another page in the same step. */
  saved: () => void;
}

const changed = new Set<object>();

/** The number of forms of the page that hold what is not saved. */
export const formsEntered = (): number => changed.size;

/** Guard a form; `isChanged` says whether it holds what is not saved. What is no form has a question of its own. */
export function useUnsaved(isChanged: boolean, asked?: { title: string; lead: string }): Unsaved {
  const { t } = useTranslation();
  const [closing, setClosing] = useState<{ close: () => void } | null>(null);
  const isSaved = useRef(false);
  if (!isChanged) isSaved.current = false;
  useEffect(() => {
    if (!isChanged) return;
    const form = {};
    changed.add(form);
    return () => void changed.delete(form);
  }, [isChanged]);
  const holds = () => isChanged && !isSaved.current;
  const way = useBlocker({
    // another order or filter of the same page keeps its forms
    shouldBlockFn: ({ current, next }) => holds() && current.pathname !== next.pathname,
    enableBeforeUnload: holds,
    withResolver: true,
  });
  const stay = () => {
    way.reset?.();
    setClosing(null);
  };
  const go = () => {
    way.proceed?.();
    closing?.close();
    setClosing(null);
  };
  return {
    question: (
      <Modal
        opened={way.status === "blocked" || closing !== null}
        onClose={stay}
        title={asked?.title ?? t("unsaved.title")}
        closeButtonProps={{ "aria-label": t("act.close") }}
      >
        <Stack>
          <div>{asked?.lead ?? t("unsaved.lead")}</div>
          <Group justify="flex-end">
            <Button variant="default" onClick={stay} data-autofocus>
              {t("unsaved.stay")}
            </Button>
            <Button color="red" onClick={go}>
              {t("unsaved.leave")}
            </Button>
          </Group>
        </Stack>
      </Modal>
    ),
    // later, or the key that closes a dialog reaches the question, too, and closes it
    leave: (close) => (holds() ? void setTimeout(() => setClosing({ close })) : close()),
    saved: () => {
      isSaved.current = true;
    },
  };
}
