import { FileInput, type FileInputProps } from "@mantine/core";
import { useTranslation } from "../text/translation";

/** A field for one file. A file that is chosen once more is read once more: it may have been mended since. */
export function FileField(props: FileInputProps) {
  const { t } = useTranslation();
  return (
    <FileInput
      miw={220}
      clearable
      clearButtonProps={{ "aria-label": t("act.clear") }}
      // the browser tells of no file whose name the field has already
      fileInputProps={{
        onClick: ({ currentTarget }) => {
          currentTarget.value = "";
        },
      }}
      {...props}
    />
  );
}
