/** Under whose name and colours the console is shown (`api.brand`): the server writes it into the page. */

import type { MantineColorsTuple } from "@mantine/core";

interface Brand {
  name: string;
  /** `#rrggbb`; null = the console's own. */
  colour: string | null;
  logo: boolean;
  /** Lines for customers about how they pay in, with `{account}`. */
  pay_in: readonly string[];
}

const NONE: Brand = { name: "vosd", colour: null, logo: false, pay_in: [] };

function read(): Brand {
  // unit tests have no page
  const page = "document" in globalThis ? document : undefined;
  const text = page?.querySelector<HTMLMetaElement>('meta[name="brand"]')?.content ?? "";
  // `vite` alone leaves the word in the page that the server replaces
  return text.startsWith("{") ? (JSON.parse(text) as Brand) : NONE;
}

export const brand = read();

/** Address of the logo. */
export const logo = brand.logo ? "/brand/logo" : "/icon.svg";

/** Shares of white in the ten shades, and of black in the last: the ninth is the colour itself, as buttons have it. */
const WHITE = [0.94, 0.86, 0.76, 0.66, 0.6, 0.5, 0.35, 0.2, 0];
const DARKER = 0.15;

/** Ten shades of a colour, from the lightest to a darker one. */
export function shadesOf(colour: string): MantineColorsTuple {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const mixed = (other: number, share: number) =>
    `#${parts
      .map((part) =>
        Math.round(part + (other - part) * share)
          .toString(16)
          .padStart(2, "0"),
      )
      .join("")}`;
  return [...WHITE.map((share) => mixed(255, share)), mixed(0, DARKER)] as unknown as MantineColorsTuple;
}
