"""Statements out of text, as a shell takes them: each ends with `;`, which does not count within quotes and comments."""

import re

# What may stand in a statement as one piece: a comment, something quoted (a doubled quote stays inside), or any other character.
# A comment or quote that is not closed yet goes on to the end of the text.
PIECES = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'?|\"(?:[^\"]|\"\")*\"?|`[^`]*`?|;|.", re.DOTALL)


def split(text: str) -> tuple[list[str], str]:
    """The complete statements in a text, without their `;`, and the beginning of the next one. Empty statements are left out."""
    statements: list[str] = []
    pieces: list[str] = []
    for piece in PIECES.findall(text):
        if piece == ";":
            statements.append("".join(pieces).strip())
            pieces = []
        else:
            pieces.append(piece)
    return [statement for statement in statements if statement], "".join(pieces).lstrip()


def every(text: str) -> list[str]:
    """All statements in a text; the last one may go without `;`."""
    complete, rest = split(text)
    return [*complete, rest.strip()] if rest.strip() else complete
