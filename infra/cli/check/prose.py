"""Archaic turns of phrase in docstrings and comments."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from infra.cli.check.sources import FUNCTIONS, Finding, Source, shorten

# Turns of phrase that technical English of today avoids. A blank matches any white space, `^^` the
# start of a sentence. The first one is a clause in place of a sentence ("What the shop returns.").
ARCHAIC_TURNS = (
    r"^^What (?!if\b)[^?.:;\n]*[.:;,\n]",
    r"\b(?:nobody|somebody)(?:'s)?\b",
    r"\b(?:whatever|whoever|whichever|wherever)\b",
    r"\bat once\b",
    r"\b(?:all that|that which)\b",
    r"\bof (?:its|their|our|one's|his) own\b",
    r"\b(?:is|are|was|were|be|been|goes|went) away\b",
    r"\b(?:goes|go|went|going) on\b",
    r"\banew\b",
    r"\b(?:once|no|any) more\b(?! than)",
    r"\b(?:stands?|stood) (?:for|in|still|behind)\b",
    r"\b(?:is|are|was|were|has|have) to be\b",
    r"\b(?:became|becomes?|come|comes|came) (?:of|to|about)\b",
    r"\bmeanwhile\b",
    r"\b(?:need not|if need be)\b",
    r"\b(?:in the way|the way on)\b",
    r"\bof (?:ours|theirs|hers|mine|yours)\b",
    r"\bby (?:itself|themselves)\b",
    r"\bget(?:s|ting)? (?:over|along)\b",
    r"\b(?:from (?:now|then) on|ever since|as yet|till)\b",
    r"\bwho (?:asks|comes|knows|looks|reads|waits|wants|writes)\b",
    r"\b(?:whether or not|as it were|be it)\b",
    r"\b(?:where|there|here)(?:in|of|by|upon|with|after)\b",
    r"\b(?:upon|lest|hence|hitherto|whom|shall|ought|amid)\b",
)
SENTENCE_START = r"(?:\A|(?<=[.:;!?] )|(?<=[.:;!?]\n)|(?<=\n\n))"
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
PRAGMA = re.compile(r"#\s*(?:fmt|noqa|type|mypy|ruff|pragma)\b")


@dataclass(frozen=True)
class Prose:
    """A docstring, or comments on consecutive lines, and the line where it starts."""

    line: int
    text: str


def prose_of(source: Source) -> list[Prose]:
    """Return the docstrings and the blocks of comments."""
    blocks = comment_blocks(source.text)
    return [*docstrings(source.tree), *blocks]


def docstrings(tree: ast.Module) -> Iterator[Prose]:
    """Yield the docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            docstring = ast.get_docstring(node)
            if docstring:
                yield Prose(node.body[0].lineno, docstring)


def comment_blocks(text: str) -> list[Prose]:
    """Return the comments, those on consecutive lines as one."""
    blocks: list[Prose] = []
    last_line = 0
    for line, comment in comments_of(text):
        if blocks and line == last_line + 1:
            block = blocks.pop()
            blocks.append(Prose(block.line, f"{block.text}\n{comment}"))
        else:
            blocks.append(Prose(line, comment))
        last_line = line
    return blocks


def comments_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield each comment for readers with its line, without those for tools."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not PRAGMA.match(token.string):
            yield token.start[0], token.string.lstrip("#! ")


def archaic_pattern() -> re.Pattern[str]:
    """Return one expression for the table of turns."""
    turns = "|".join(ARCHAIC_TURNS)
    return re.compile(turns.replace(" ", r"\s+").replace("^^", SENTENCE_START))


def find_archaic_turns(source: Source) -> list[Finding]:
    """Return the archaic turns of docstrings and comments."""
    pattern = archaic_pattern()
    findings = []
    for prose in prose_of(source):
        for match in pattern.finditer(prose.text):
            line = prose.line + prose.text.count("\n", 0, match.start())
            findings.append(Finding(source.path, line, shorten(match.group())))
    return findings


def count_words(source: Source) -> int:
    """Return the number of words in docstrings and comments."""
    return sum(len(WORD.findall(prose.text)) for prose in prose_of(source))
