"""Statements out of text, as a shell takes them: each ends with `;`, which does not count within quotes and comments."""

import re

# What may stand in a statement as one piece: a comment, something quoted (a doubled quote stays inside), or any other character.
# A comment or quote that is not closed yet goes on to the end of the text.
QUOTED = r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'?|\"(?:[^\"]|\"\")*\"?"
PIECES = re.compile(QUOTED + r"|`[^`]*`?|;|.", re.DOTALL)


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


def renamed(statement: str, old: str, new: str) -> str:
    """A statement in which one database stands for another, wherever it is named; quotes and comments stay as they are."""
    names = re.compile(rf"{QUOTED}|(?<![\w`.])(?:`{re.escape(old)}`|{re.escape(old)}(?![\w`]))", re.DOTALL | re.IGNORECASE)
    return names.sub(lambda found: f"`{new}`" if found[0].strip("`").lower() == old.lower() else found[0], statement)
