import { TextInput, type TextInputProps } from "@mantine/core";
import { useTranslation } from "../text/translation";

/** A field for an amount of money. Where another form is entered, such as 1,5, the browser says the title. */
export function AmountInput({ mayBeNegative = false, ...props }: TextInputProps & { mayBeNegative?: boolean }) {
  const { t } = useTranslation();
  return (
    <TextInput
      inputMode="decimal"
      pattern={`${mayBeNegative ? "-?" : ""}[0-9]+([.][0-9]+)?`}
      title={t("form.amount")}
      {...props}
    />
  );
}
