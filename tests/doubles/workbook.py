"""Workbooks as a spreadsheet writes them."""

from decimal import Decimal
from pathlib import Path
from string import ascii_uppercase
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile


class Raw(str):
    """Attributes and content of a cell, as they stand in the file: ``t="e"><v>#N/A</v>``."""

    __slots__ = ()


def xlsx(path: Path, rows: list[list[object]], sheet: str = "Rates") -> Path:
    """Write a workbook as a spreadsheet does: numbers as numbers, dates as numbers with a format, text in line."""
    kinds = {
        str: ' t="inlineStr"><is><t>{}</t></is>', Decimal: "><v>{}</v>", int: ' s="1"><v>{}</v>', Raw: " {}",
    }  # fmt: skip

    def cell(value: object, column: int, row: int) -> str:
        text = value if isinstance(value, Raw) else escape(str(value))
        return f'<c r="{ascii_uppercase[column]}{row}"{kinds[type(value)].format(text)}</c>'

    written = [[cell(value, column, row) for column, value in enumerate(cells)] for row, cells in enumerate(rows, 1)]
    body = "".join(f"<row>{''.join(cells)}</row>" for cells in written)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        file.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="r1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="r1" Type="{office}/worksheet" '
            f'Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{office}/styles" Target="styles.xml"/>'
            "</Relationships>",
        )
        file.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        )
        file.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
        )
    return path
