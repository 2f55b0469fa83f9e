/** The state of the switch: one reading for the frame and the pages, which show different parts of it. */

import { queryOptions } from "@tanstack/react-query";
import { client, content } from "../api/client";

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: () => content(client.GET("/status")),
});
