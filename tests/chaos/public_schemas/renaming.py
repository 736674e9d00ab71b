"""Gives statements a place in the captured database: without other databases, under free names."""

from collections.abc import Mapping

from tests.chaos.public_schemas.sql_tokens import Token, tokens

# A table's name, or that of a view or routine, follows these words.
BEFORE_NAMES = {
    "CALL",
    "DELETE",
    "FROM",
    "FUNCTION",
    "INSERT",
    "INTO",
    "JOIN",
    "PROCEDURE",
    "REFERENCES",
    "RENAME",
    "REPLACE",
    "STRAIGHT_JOIN",
    "TABLE",
    "TABLES",
    "TRIGGER",
    "TRUNCATE",
    "UPDATE",
    "VIEW",
}
# They may stand between such a word and the name.
BETWEEN = {
    "AS",
    "DELAYED",
    "EXISTS",
    "HIGH_PRIORITY",
    "IF",
    "IGNORE",
    "LOW_PRIORITY",
    "NOT",
    "QUICK",
    "TO",
}
NO_NAMES = {"COLUMN", "INDEX", "KEY", "LATERAL", "ON", "SELECT", "SET", "VALUES", "WHERE"}
# Behind these words, INSERT, UPDATE and DELETE are events or clauses.
BEFORE_EVENTS = {"AFTER", "BEFORE", "FOR", "KEY", "ON"}
EVENTS = {"INSERT", "UPDATE", "DELETE"}
LISTS = {"DELETE", "FROM", "JOIN", "UPDATE"}
HEADS_OF_LISTS = {"ANALYZE", "CHECK", "DROP", "LOCK", "OPTIMIZE", "RENAME", "REPAIR"}
# FROM within their parentheses is no clause.
FUNCTIONS_WITH_FROM = {"EXTRACT", "MID", "SUBSTR", "SUBSTRING", "TRIM"}
ROWS_OF_TRIGGERS = {"NEW", "OLD"}


def renamed(statement: str, new_names: Mapping[str, str]) -> str:
    """Return a statement with other names of tables, and without the names of databases.

    Where a table stands is told by the words before it; a name elsewhere is that of a table if it
    qualifies a column. Names are compared with their letter case.
    """
    parts = list(tokens(statement))
    places = [place for place, token in enumerate(parts) if token.kind != "space"]
    _Reader(parts, places, new_names).rename()
    return "".join(token.text for token in parts)


class _Reader:
    """One pass through a statement, which changes its tokens."""

    def __init__(
        self, parts: list[Token], places: list[int], new_names: Mapping[str, str]
    ) -> None:
        self._parts = parts
        self._places = places
        self._new_names = new_names
        self._head = self._token(0).word
        self._is_about_an_index = "INDEX" in [self._token(at).word for at in range(1, 4)]
        # The word before each open parenthesis; SELECT once one came.
        self._opened: list[str] = []
        self._expects_name = False
        self._makes_list = False
        self._list_depth = -1
        self._name_end = -1

    def rename(self) -> None:
        at = 0
        while at < len(self._places):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Read a token or a whole name. Returns the place of the next."""
        token = self._token(at)
        if token.text == "(":
            self._opened.append(self._token(at - 1).word)
            # FROM (a, b); but INSERT(…) and REPLACE(…) are functions.
            self._expects_name = self._expects_name and self._makes_list
        elif token.text == ")":
            del self._opened[-1:]
            self._expects_name = False
        elif token.text == ",":
            self._expects_name = len(self._opened) == self._list_depth
            self._makes_list = self._makes_list or self._expects_name
        elif self._begins_name(at):
            self._expects_name = True
            self._makes_list = token.word in LISTS or self._head in HEADS_OF_LISTS
        elif self._expects_name and token.word in BETWEEN and not self._is_qualifier(at):
            pass
        elif token.word in NO_NAMES and not self._is_qualifier(at):
            self._expects_name = False
            self._list_depth = -1
            if token.word == "SELECT" and self._opened:
                self._opened[-1] = "SELECT"
        elif token.identifier:
            return self._read_name(at)
        else:
            self._expects_name = False
        return at + 1

    def _begins_name(self, at: int) -> bool:
        """Whether the name of a table follows a word."""
        word = self._token(at).word
        before = self._token(at - 1)
        if self._is_qualifier(at) or before.text == ".":
            return False
        if word == "ON":
            is_event = before.word in EVENTS and self._token(at - 2).word != "ON"
            return is_event or self._is_about_an_index
        if word in EVENTS and before.word in BEFORE_EVENTS:
            return False
        if word == "REPLACE" and before.word == "OR":
            return False
        if word == "FROM" and self._opened and self._opened[-1] in FUNCTIONS_WITH_FROM:
            return False
        if word == "LIKE":
            return self._head == "CREATE" and self._name_end in (at, at - 1)
        if word == "TO":
            return self._head == "RENAME"
        return word in BEFORE_NAMES

    def _read_name(self, at: int) -> int:
        """Rename the name that begins at a token, with its qualifiers."""
        end = at + 1
        while self._token(end).text == "." and self._is_name_or_star(end + 1):
            end += 2
        names = range(at, end, 2)
        is_row = self._token(at).word in ROWS_OF_TRIGGERS
        if self._expects_name and not is_row:
            last = names[-1] if self._token(names[-1]).identifier else names[-1] - 2
            self._drop(at, last)
            self._replace(last)
            self._expects_name = False
            self._list_depth = len(self._opened) if self._makes_list else -1
            self._name_end = end
        elif len(names) == 3:
            self._drop(at, names[1])
            self._replace(names[1])
        elif len(names) == 2:
            self._replace(at)
        return end

    def _is_name_or_star(self, at: int) -> bool:
        return bool(self._token(at).identifier) or self._token(at).text == "*"

    def _is_qualifier(self, at: int) -> bool:
        return self._token(at + 1).text == "."

    def _replace(self, at: int) -> None:
        name = self._token(at).identifier
        if name in self._new_names:
            new_name = self._new_names[name].replace("`", "``")
            self._parts[self._places[at]] = Token("name", f"`{new_name}`")

    def _drop(self, begin: int, end: int) -> None:
        for at in range(begin, end):
            self._parts[self._places[at]] = Token("space", "")

    def _token(self, at: int) -> Token:
        if 0 <= at < len(self._places):
            return self._parts[self._places[at]]
        return Token("space", "")
