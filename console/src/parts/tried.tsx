/** A change of an object in two steps: a trial that says what it means, then the order. */

import type { ButtonProps } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useRef, useState } from "react";
import { readAgain } from "../api/again";
import { ifVersion, isStale, type Query } from "../api/client";
import { isPageOld, useOrders } from "../api/orders";
import { useTranslation } from "../text/translation";
import { Confirm } from "./confirm";
import { Opener } from "./opener";
import { type Change, ChangeWords, useSay } from "./trial";

/**
 * What an order confirms: the calls that its trial has named. An account that no call uses ends without that, which would
 * also pass over a balance that the account has got since.
 */
function confirmed({ changes, calls_unknown }: Change): Query {
  const endsUnused = changes.some((each) => each.kind === "accounts" && each.action === "ended" && !each.calls?.number);
  return endsUnused && !calls_unknown ? {} : { confirm: true };
}

interface Tried {
  change: Change;
  version?: number;
}

/** A button, then the question with what the trial has found. */
export function TriedAct(props: {
  button: string;
  size: ButtonProps["size"];
  /** The version that is in force: where it is another one by the time of the order, that is refused. */
  version?: number;
  order: (query: Query, headers: Record<string, string>) => Promise<Change>;
  title: string;
  /** The lead where the trial was refused. */
  refused?: ReactNode;
  act: string;
  said: string;
  /** What takes the change back; `before` is the version that was in force. */
  undo: (made: Change, before?: number) => Promise<unknown>;
  onDone?: () => void;
}) {
  const { t } = useTranslation();
  const say = useSay();
  const queries = useQueryClient();
  const orders = useOrders();
  const [tried, setTried] = useState<Tried | null>(null);
  const [asks, setAsks] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const order = useMutation({
    /** Without the change that a trial has found, the order is that trial. */
    mutationFn: ({ change, version }: Partial<Tried>) =>
      change
        ? orders.carryOut(String(version), (key) =>
            props.order(confirmed(change), { ...ifVersion(version), "Idempotency-Key": key }),
          )
        : props.order({ dry_run: true }, { ...ifVersion(version) }),
    // the version that was tried: the page may have read that of a colleague before the answer came
    onSuccess: (made, { change, version }) => {
      setAsks(!change);
      setTried(change ? null : { change: made, version });
      if (!change) return;
      props.onDone?.();
      const said = orders.isRepeat ? t("act.repeated", { said: props.said }) : props.said;
      say(said, () => props.undo(made, version), made);
    },
    // the object is tried as it is by now, when that is asked for again
    onError: (failure) => {
      if (isStale(failure)) setTried(null);
      if (isPageOld(failure)) readAgain(queries);
    },
  });
  // behind an order whose answer was lost the version that was tried is in force no more: its repeat says so
  const mayBeDone = tried !== null && orders.mayBeDone(String(tried.version));
  const attempt = () => {
    setTried(null);
    order.mutate({ version: props.version });
  };
  return (
    <>
      <Opener
        ref={opener}
        act={props.button}
        size={props.size}
        variant="default"
        isAtWork={order.isPending}
        onOpen={() => (mayBeDone ? setAsks(true) : attempt())}
      />
      <Confirm
        opened={asks || order.error !== null}
        opener={opener}
        title={props.title}
        lead={tried ? <ChangeWords change={tried.change} /> : props.refused}
        act={props.act}
        isAtWork={order.isPending}
        error={order.error}
        mayBeDone={mayBeDone}
        onAct={() => (tried ? order.mutate(tried) : attempt())}
        onClose={() => {
          setAsks(false);
          order.reset();
        }}
      />
    </>
  );
}
