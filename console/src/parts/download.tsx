/** A button that downloads a list or a report, and says where that was refused. */

import { Button, type ButtonProps } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { download } from "../api/client";
import { present } from "../api/clock";
import { useTranslation } from "../text/translation";
import { Age } from "./age";
import { giveFocus } from "./focus";
import { OrderButton } from "./orderbutton";
import { ProblemText } from "./problem";

export const WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/** A download that takes longer can be cancelled: buttons that come and go at once would move others. */
const LONG_MS = 1_500;

export function Download({
  path,
  accept,
  name,
  apply,
  mend,
  children,
  ...look
}: ButtonProps & {
  path: string;
  accept: string;
  /** Name of the file. */
  name: string;
  /** Show what is downloaded; false where it is not complete, and nothing is downloaded. */
  apply?: () => boolean;
  mend?: (text: string) => string;
  children: ReactNode;
}) {
  const order = useMutation({
    mutationFn: (ending: AbortController) => download(path, accept, name, ending.signal, mend),
  });
  const button = useRef<HTMLButtonElement>(null);
  const wasCancelled = !order.isPending && order.variables?.signal.aborted;
  useEffect(() => {
    if (wasCancelled) giveFocus(button.current); // the one that cancelled is gone
  }, [wasCancelled]);
  return (
    <>
      <OrderButton
        ref={button}
        size="xs"
        variant="default"
        {...look}
        isAtWork={order.isPending}
        onClick={() => apply?.() !== false && order.mutate(new AbortController())}
      >
        {children}
      </OrderButton>
      {order.isPending && <UnderWay name={name} size={look.size} onCancel={() => order.variables.abort()} />}
      <ProblemText error={order.error} />
    </>
  );
}

/** The time for which a file is being made, and the button that ends that: of a list the switch reads no more then. */
function UnderWay({ name, size = "xs", onCancel }: Pick<ButtonProps, "size"> & { name: string; onCancel: () => void }) {
  const { t } = useTranslation();
  const [since] = useState(() => new Date(present()).toISOString());
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!isLong) return null;
  return (
    <>
      <span role="status" className="quiet">
        {t("download.under_way", { name })}
      </span>
      <span className="quiet">
        <Age since={since} />
      </span>
      <Button size={size} variant="default" aria-label={t("download.cancel", { name })} onClick={onCancel}>
        {t("act.cancel")}
      </Button>
    </>
  );
}
