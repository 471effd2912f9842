"""AUTOMATIC1111's styles.csv: `name,prompt,negative_prompt`, read as it does, and edited row by row.

What is not edited keeps its bytes: comments, dividers, columns of other programs, the kind of line break and
the byte order mark. Source: A1111 modules/styles.py.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

NAME, PROMPT, NEGATIVE = "name", "prompt", "negative_prompt"
OLD_PROMPT = "text"
"""Column of the prompt in A1111's first files."""
COMMENT = "#"
ROW_BREAK = "\r\n"
EMPTY = codecs.BOM_UTF8 + f"{NAME},{PROMPT},{NEGATIVE}{ROW_BREAK}".encode()
"""A new file, as A1111 writes it."""


@dataclass(frozen=True)
class Row:
    """A style. `index`: the place of its record in the file."""

    index: int
    name: str
    prompt: str
    negative_prompt: str


@dataclass(frozen=True)
class StyleFile:
    """A file's records as they are written, the header included, and their fields."""

    records: tuple[str, ...]
    fields: tuple[tuple[str, ...], ...]
    header: int
    has_mark: bool

    @classmethod
    def parse(cls, data: bytes) -> StyleFile:
        """Raises `ValueError` with what follows the file's name in a sentence."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8; save it as UTF-8") from None
        # Universal, but untranslated line breaks, as those of a file opened with newline="".
        lines = list(io.StringIO(text, newline=""))
        reader = csv.reader(lines, skipinitialspace=True)
        records, fields, start = [], [], 0
        try:
            for row in reader:
                records.append("".join(lines[start : reader.line_num]))
                fields.append(tuple(row))
                start = reader.line_num
        except csv.Error as error:
            raise ValueError(f"cannot be read as CSV in line {reader.line_num} ({error})") from None
        header = next((at for at, row in enumerate(fields) if row), None)
        if header is None:
            return cls.parse(EMPTY)
        found = cls(tuple(records), tuple(fields), header, data.startswith(codecs.BOM_UTF8))
        if found._at(NAME) is None or found._prompt_at is None:
            raise ValueError(
                "has no columns name and prompt; its first line must be name,prompt,negative_prompt"
            )
        return found

    def encode(self) -> bytes:
        return (codecs.BOM_UTF8 if self.has_mark else b"") + "".join(self.records).encode()

    def rows(self) -> Iterator[Row]:
        """The styles and dividers in their order; comments and rows without a name are left out."""
        name_at, negative_at = self._at(NAME), self._at(NEGATIVE)
        for index, row in enumerate(self.fields[self.header + 1 :], self.header + 1):
            name = _field(row, name_at).strip()
            if name and not name.startswith(COMMENT):
                yield Row(index, name, _field(row, self._prompt_at), _field(row, negative_at))

    def with_style(self, name: str, prompt: str, negative: str, replacing: str | None = None) -> StyleFile:
        """The file with this style, in the place of the one named `replacing`, else at the end."""
        found = self if self._at(NEGATIVE) is not None or not negative else self._with_negative_column()
        same = (row.index for row in found.rows() if row.name == replacing) if replacing is not None else ()
        at = max(same, default=None)
        old = found.fields[at] if at is not None else ()
        row = list(old) + [""] * (len(found.fields[found.header]) - len(old))
        for column, value in (
            (found._at(NAME), name),
            (found._prompt_at, prompt),
            (found._at(NEGATIVE), negative),
        ):
            if column is not None:
                row[column] = value
        record = _written(row) + found._break
        if at is not None:
            return found._replaced(at, record, row)
        records = list(found.records)
        if not records[-1].endswith(("\n", "\r")):
            records[-1] += found._break
        return replace(found, records=(*records, record), fields=(*found.fields, tuple(row)))

    def without(self, name: str) -> StyleFile:
        """The file without the rows of this name."""
        gone = {row.index for row in self.rows() if row.name == name}
        kept = [at for at in range(len(self.records)) if at not in gone]
        return replace(
            self,
            records=tuple(self.records[at] for at in kept),
            fields=tuple(self.fields[at] for at in kept),
        )

    def _with_negative_column(self) -> StyleFile:
        header = [*self.fields[self.header], NEGATIVE]
        return self._replaced(self.header, _written(header) + self._break, header)

    def _replaced(self, at: int, record: str, row: Sequence[str]) -> StyleFile:
        records, fields = list(self.records), list(self.fields)
        records[at], fields[at] = record, tuple(row)
        return replace(self, records=tuple(records), fields=tuple(fields))

    @property
    def _break(self) -> str:
        header = self.records[self.header]
        return header[len(header.rstrip("\r\n")) :] or ROW_BREAK

    @property
    def _prompt_at(self) -> int | None:
        at = self._at(PROMPT)
        return self._at(OLD_PROMPT) if at is None else at

    def _at(self, column: str) -> int | None:
        columns = [each.strip().casefold() for each in self.fields[self.header]]
        return columns.index(column) if column in columns else None


def _field(row: Sequence[str], at: int | None) -> str:
    return row[at] if at is not None and at < len(row) else ""


def _written(row: Sequence[str]) -> str:
    return ",".join(map(_quoted, row))


def _quoted(text: str) -> str:
    """A field; quoted where a reader would take a part of it for something else, or strip it."""
    if text == text.strip() and not any(each in text for each in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'
