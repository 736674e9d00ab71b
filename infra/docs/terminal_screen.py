"""A terminal's screen: the part of ECMA-48 that our own commands use.

Text, carriage return, newline, backspace, tab, erase in line (`CSI K`) and colours (`CSI m`).
Everything else that a terminal obeys is skipped.
"""

import re
from dataclasses import dataclass, replace
from itertools import groupby

TAB_COLUMNS = 8

# An escape sequence that a read has cut in two: what is there of it waits for the rest.
INCOMPLETE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<control>[\x00-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
)
WORDS = re.compile(r"\S+(?: \S+)*")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a character looks. `colour` is 0 to 15 of the terminal's palette, None the default."""

    colour: int | None = None
    bold: bool = False
    dim: bool = False


PLAIN = Style()


@dataclass(frozen=True, kw_only=True)
class Run:
    """Text of one style, without two blanks in a row, from a column on (the first is 0)."""

    column: int
    text: str
    style: Style = PLAIN


Row = tuple[Run, ...]
Cell = tuple[str, Style]
BLANK: Cell = (" ", PLAIN)


class Screen:
    """The rows of a terminal of a fixed size, and its cursor."""

    def __init__(self, width: int, height: int) -> None:
        """Start with an empty screen, the cursor in its upper left corner."""
        self.width = width
        self.height = height
        # the column is `width` after a full row: the next text wraps
        self.column = 0
        self.row = 0
        self._style = PLAIN
        self._cells = [[BLANK] * width for _ in range(height)]
        self._incomplete = ""

    def feed(self, output: str) -> None:
        """Show what a program wrote; an escape sequence may come in several pieces."""
        output = self._incomplete + output
        cut = INCOMPLETE.search(output)
        self._incomplete = cut.group() if cut else ""
        for token in TOKEN.finditer(output.removesuffix(self._incomplete)):
            if token["text"]:
                for character in token["text"]:
                    self._put(character)
            elif token["control"]:
                self._move(token["control"])
            elif token["final"] == "K":
                self._erase(token["parameters"])
            elif token["final"] == "m":
                self._style = restyle(self._style, token["parameters"])

    def rows(self) -> tuple[Row, ...]:
        """Return what each row shows, from the top."""
        return tuple(_runs(cells) for cells in self._cells)

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self.column = 0
            self._next_row()
        self._cells[self.row][self.column] = (character, self._style)
        self.column += 1

    def _move(self, control: str) -> None:
        if control == "\r":
            self.column = 0
        elif control == "\n":
            self._next_row()
        elif control == "\b":
            self.column = max(self.column - 1, 0)
        elif control == "\t":
            self.column = min(
                (self.column // TAB_COLUMNS + 1) * TAB_COLUMNS, self.width - 1
            )

    def _next_row(self) -> None:
        if self.row < self.height - 1:
            self.row += 1
        else:
            self._cells = [*self._cells[1:], [BLANK] * self.width]

    def _erase(self, parameters: str) -> None:
        """Erase to the row's end (0), to its begin (1) or all of it (2)."""
        first = self.column if parameters in ("", "0") else 0
        last = min(self.column + 1, self.width) if parameters == "1" else self.width
        self._cells[self.row][first:last] = [BLANK] * (last - first)


def restyle(style: Style, parameters: str) -> Style:
    """Return a style after `CSI parameters m`. Backgrounds and unknown codes change nothing."""
    codes = [int(code) if code.isdigit() else 0 for code in parameters.split(";")]
    while codes:
        code = codes.pop(0)
        if code in (38, 48):
            colour, codes = _extended_colour(codes)
            style = replace(style, colour=colour) if code == 38 else style
        elif code == 0:
            style = PLAIN
        elif code in (1, 2):
            style = replace(style, bold=style.bold or code == 1, dim=style.dim or code == 2)
        elif code == 22:
            style = replace(style, bold=False, dim=False)
        elif code == 39:
            style = replace(style, colour=None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, colour=code % 10 + (8 if code >= 90 else 0))
    return style


def _extended_colour(codes: list[int]) -> tuple[int | None, list[int]]:
    """Return the colour that follows 38 or 48, None if it is no palette's, and the other codes."""
    if codes[:1] == [5]:
        colour = codes[1] if len(codes) > 1 and codes[1] < 16 else None
        return colour, codes[2:]
    return None, codes[4:] if codes[:1] == [2] else codes


def _runs(cells: list[Cell]) -> Row:
    """Split a row where its style changes and where columns of a table are apart."""
    runs = []
    column = 0
    for style, group in groupby(cells, key=lambda cell: cell[1]):
        text = "".join(character for character, _ in group)
        for words in WORDS.finditer(text):
            runs.append(Run(column=column + words.start(), text=words.group(), style=style))
        column += len(text)
    return tuple(runs)
