"""The same statement in many spellings: quotes, comments, spaces and letter case."""

from collections.abc import Callable
from random import Random

STRICT = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE"
ANSI_QUOTES = f"{STRICT},ANSI_QUOTES"
NO_BACKSLASH = f"{STRICT},NO_BACKSLASH_ESCAPES"
# One statement of the list has this chance to be written for ANSI_QUOTES.
ANSI_SHARE = 0.06
NO_BACKSLASH_SHARE = 0.04
PLAIN_SHARE = 0.5
COMMENTS = (
    "/* DROP TABLE t; */",
    "/* it's */",
    '/* "x */',
    "/**/",
    "/*+ hint */",
    "-- DROP COLUMN id\n",
    "--\t`\n",
    "# ADD COLUMN c INT;\n",
    "#\n",
    "/*!99999 , ADD COLUMN not_executed INT */",
    "/*!80000 */",
)


class Spelling:
    """How one statement is written; `sql_mode` is that of the session which it needs."""

    def __init__(self, random: Random) -> None:
        self._random = random
        chance = random.random()
        self.sql_mode = STRICT
        if chance < ANSI_SHARE:
            self.sql_mode = ANSI_QUOTES
        elif chance < ANSI_SHARE + NO_BACKSLASH_SHARE:
            self.sql_mode = NO_BACKSLASH

    def name(self, name: str) -> str:
        """Return a column's, index's or partition's name, with quotes where it needs them."""
        if _is_plain(name) and self._random.random() < 0.5:
            return self._in_other_case(name)
        return self.quoted(self._in_other_case(name))

    def table(self, name: str) -> str:
        """Return a table's name, whose letter case matters."""
        if _is_plain(name) and self._random.random() < 0.5:
            return name
        return self.quoted(name)

    def quoted(self, name: str) -> str:
        """Return a name in quotes: `…`, or "…" if the session takes that for a name."""
        quote = '"' if self.sql_mode == ANSI_QUOTES else "`"
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"

    def decorated(self, words: list[str]) -> str:
        """Return a statement of some words, with comments and other spaces between them."""
        random = self._random
        if random.random() < PLAIN_SHARE:
            return " ".join(words)
        text = random.choice(("", "", "/* before */ ", "-- first\n", "\n\t"))
        for number, word in enumerate(words):
            text += self._separator() if number else ""
            text += word
        return text + random.choice(("", "", " ", " -- behind", " # behind", "\n/* end */"))

    def keyword(self, word: str) -> str:
        """Return a keyword in upper or lower case."""
        spelled: Callable[[str], str] = self._random.choice(
            (str.upper, str.upper, str.lower, str.capitalize)
        )
        return spelled(word)

    def _separator(self) -> str:
        random = self._random
        if random.random() < 0.75:
            return random.choice((" ", " ", "  ", "\n", "\t"))
        return f" {random.choice(COMMENTS)} "

    def _in_other_case(self, name: str) -> str:
        random = self._random
        if random.random() < 0.8 or not name.isascii():
            return name
        return random.choice((name.upper(), name.lower(), name.capitalize()))


def _is_plain(name: str) -> bool:
    return name.isascii() and name.isidentifier() and name.lower() not in ("key", "order")
