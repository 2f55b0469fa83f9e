import { Button, Group, Modal, Progress, Stack } from "@mantine/core";
import { type ReactNode, type RefObject, useEffect, useRef, useState } from "react";
import { useSession } from "../session";
import { useTranslation } from "../text/translation";
import { giveFocus, rescueFocus } from "./focus";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";

/** The time in which a dialog has given the focus back to what had it before, where that can take it. */
const GIVEN_BACK_MS = 50;

/** Close a question where the person may do less than when it was opened: its page may be without its button by then. */
function useClosedWithoutRight({
  opened,
  isAtWork,
  onClose,
}: {
  opened: boolean;
  isAtWork: boolean;
  onClose: () => void;
}) {
  const { may } = useSession();
  const [had, setHad] = useState(may);
  useEffect(() => {
    if (!opened) setHad(may);
    else if (!isAtWork && [...had].some((operation) => !may.has(operation))) onClose();
  });
}

/**
 * The second step of what cannot be undone or costs money: it says what will happen, and what did not. It stays while
 * the order is at work, because what comes of it is said here.
 */
export function Confirm(props: {
  opened: boolean;
  title: string;
  lead: ReactNode;
  act: string;
  isAtWork: boolean;
  /** Progress of an order that takes long, as a part of 1. */
  progress?: number;
  error: Error | null;
  /** Whether the order may have been carried out without an answer, and its repeat has the same Idempotency-Key. */
  mayBeDone?: boolean;
  /** Whether another order of the same button may have been carried out without an answer. */
  mayOtherBeDone?: boolean;
  onAct: () => void;
  onClose: () => void;
  /** The element that gets the focus afterwards; needed where another dialog came before, or where it was busy meanwhile. */
  opener?: RefObject<HTMLElement | null>;
}) {
  const { t } = useTranslation();
  const close = () => props.isAtWork || props.onClose();
  useClosedWithoutRight(props);
  const { opener, opened } = props;
  const before = useRef<Element | null>(null);
  const giveBack = () => {
    if (opener) return giveFocus(opener.current);
    const { current } = before;
    setTimeout(() => (!current?.isConnected || current.matches(":disabled")) && rescueFocus(), GIVEN_BACK_MS);
  };
  // a form that was saved is drawn anew, and its question goes with it
  const isOpen = useRef(opened);
  useEffect(() => {
    isOpen.current = opened;
    if (opened) before.current = document.activeElement;
  }, [opened]);
  useEffect(() => () => void (isOpen.current && document.activeElement === document.body && giveFocus(null)), []);
  return (
    <Modal
      opened={opened}
      onClose={close}
      onExitTransitionEnd={giveBack}
      title={props.title}
      closeButtonProps={{ "aria-label": t("act.close") }}
    >
      <Stack>
        <div>{props.lead}</div>
        {props.isAtWork && props.progress !== undefined && (
          <Progress value={100 * props.progress} aria-label={t("column.progress")} />
        )}
        <ProblemText error={props.error} />
        {props.mayOtherBeDone && <span role="note">{t("act.lost_other")}</span>}
        {props.error && props.mayBeDone && <span>{t("act.lost", { act: props.act })}</span>}
        <Group justify="flex-end">
          <Button variant="default" onClick={close} disabled={props.isAtWork} data-autofocus>
            {t("act.cancel")}
          </Button>
          {/* a second press may come while the question closes */}
          <OrderButton color="red" onClick={() => opened && props.onAct()} isAtWork={props.isAtWork}>
            {props.act}
          </OrderButton>
        </Group>
      </Stack>
    </Modal>
  );
}
