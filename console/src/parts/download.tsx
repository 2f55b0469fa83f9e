/** A button that downloads a list or a report, and says where that was refused. */

import { Button, type ButtonProps } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { download } from "../api/client";
import { ProblemText } from "./problem";

export const WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

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
  const order = useMutation({ mutationFn: () => download(path, accept, name, mend) });
  return (
    <>
      <Button
        size="xs"
        variant="default"
        {...look}
        loading={order.isPending}
        onClick={() => apply?.() !== false && order.mutate()}
      >
        {children}
      </Button>
      <ProblemText error={order.error} />
    </>
  );
}
