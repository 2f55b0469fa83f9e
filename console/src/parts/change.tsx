import { Alert, Button, type ButtonProps, Group } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { readAgain } from "../api/again";
import { isPageOld, type Orders, useOrders } from "../api/orders";
import { useTranslation } from "../text/translation";
import { Confirm } from "./confirm";
import { useDialog, useOpened } from "./dialogs";
import { Opener } from "./opener";
import { useSay } from "./trial";
import { useUndo } from "./undo";

/** What a change did, and what takes it back where the API can. */
export interface Done {
  said: string;
  undo?: () => Promise<Done>;
}

interface ChangeProps {
  act: string;
  /** The question; with the same one an order is a repeat, unless the server finds it another. */
  title: string;
  lead: ReactNode;
  /**
   * The key is the same one until an answer has come: a repeat changes nothing, and has it as `again`. What takes long
   * tells `note` how far it is, as a part of 1.
   */
  run: (key: string, again: string | undefined, note: (progress: number) => void) => Promise<Done>;
  onDone?: () => void;
  disabled?: boolean;
  isDanger?: boolean;
  /** Whether the words stand at the top of the page, in `LastDone`: for what is gone from the page then. */
  saysAbove?: boolean;
  /** Whether the page says what has failed: the question closes then. */
  isSaidByPage?: (failure: Error) => boolean;
  size?: ButtonProps["size"];
  /** The button of a form asks the question where its fields are in order; the browser says what is not. */
  type?: "submit";
}

/** A change in two steps: a button, then a question that says what will happen. Behind it stands what it did. */
export function Change(props: ChangeProps) {
  const show = useDialog();
  const orders = useOrders();
  const [done, setDone] = useState<Done | null>(null);
  const changed = (done: Done) => {
    setDone(done);
    props.onDone?.();
  };
  return (
    <>
      <Opener
        act={props.act}
        size={props.size ?? "xs"}
        type={props.type}
        variant="default"
        c={props.isDanger ? "var(--bad)" : undefined}
        disabled={props.disabled}
        onOpen={() => {
          setDone(null);
          show(<Question {...props} orders={orders} onDone={changed} />);
        }}
      />
      {done && !props.saysAbove && <DoneText key={done.said} done={done} />}
    </>
  );
}

function Question({
  orders,
  onDone,
  ...props
}: Omit<ChangeProps, "onDone"> & { orders: Orders; onDone: (done: Done) => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const say = useSay();
  const [asks, setAsks] = useOpened();
  const [progress, setProgress] = useState<number>();
  const change = useMutation({
    mutationFn: async () => {
      setProgress(undefined);
      const done = await orders.carryOut(props.title, (key, again) => props.run(key, again, setProgress));
      return orders.isRepeat ? { ...done, said: t("act.repeated", { said: done.said }) } : done;
    },
    onSuccess: (done) => {
      setAsks(false);
      onDone(done);
      // each of both reads again what is shown
      if (props.saysAbove) say(done.said, done.undo);
      else readAgain(queries);
    },
    onError: (failure) => {
      if (props.isSaidByPage?.(failure)) setAsks(false);
      // the page shows what holds now, and the question is asked anew from there
      if (isPageOld(failure)) readAgain(queries);
    },
  });
  return (
    <Confirm
      opened={asks}
      title={props.title}
      lead={props.lead}
      act={props.act}
      isAtWork={change.isPending}
      progress={progress}
      error={change.error}
      mayBeDone={orders.mayBeDone(props.title)}
      mayOtherBeDone={orders.mayOtherBeDone(props.title)}
      onAct={() => change.mutate()}
      onClose={() => setAsks(false)}
    />
  );
}

/** What a change did, with a button that takes it back. */
export function DoneText({ done }: { done: Done }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const undo = useUndo<Done>(() => readAgain(queries));
  const { said, undo: act } = undo.made ?? done;
  return (
    <>
      <Alert variant="outline" color="green" p={4} role="status">
        <Group gap="xs">
          {said}
          {act && (
            <Button size="compact-xs" variant="default" loading={undo.isAtWork} onClick={() => undo.run(act)}>
              {t("act.undo")}
            </Button>
          )}
        </Group>
      </Alert>
      {undo.problemOf(act)}
    </>
  );
}
