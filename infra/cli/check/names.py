"""Names that say nothing: participles and pronouns without a noun."""

import ast
from collections.abc import Iterator

from infra.cli.check.sources import FUNCTIONS, Finding, Function, Source


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Words in -ed that are verbs in their base form, nouns or plain adjectives.
BASE_FORMS_IN_ED = word_set(
    """
    bed bleed breed cred creed deed embed exceed feed greed heed hundred indeed naked need pred
    proceed red reed sacred seed shed shred sled speed succeed wed weed
    """
)
# Participles that are ordinary adjectives of the field: "the expected value", "a nested field".
FIELD_ADJECTIVES = word_set(
    """
    added allowed cached closed committed decoded deleted deprecated elapsed enabled encoded
    expected failed fixed nested parsed removed renamed required resolved selected shared signed
    started stopped truncated typed unsigned updated
    """
)
IRREGULAR_PARTICIPLES = word_set(
    """
    become been begun bent born bought broken brought built caught chosen come dealt done drawn
    driven eaten fallen felt forgotten found frozen given gone got gotten grown heard held
    hidden hung kept known laid led left lent lost made meant met paid rebuilt redone rewritten
    risen said seen sent shown slept sold sought spent spoken stolen stood struck stuck sunk
    swept taken taught thought thrown told torn understood undone unseen unwritten woken won
    worn wound written
    """
)
PRONOUNS = word_set(
    """
    all another any anybody anyone anything both each either enough everybody everyone
    everything few he her him his it its many mine much neither nobody none nothing one ones
    other others ours same several she some somebody someone something such that theirs them
    these they this those we what whatever which who whoever whom whose you yours
    """
)
# Words that name nothing, so that a participle with one of them still lacks its noun. Without
# `at` and `by`, since `created_at` is a time.
ADVERBS = word_set(
    """
    again already always ever far how just late later long merely most never newly no not now of
    off once only out over so still then to too up when where yet
    """
)


def bound_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each name with its line, as often as it is bound.

    Variables, loop names, attributes, parameters and functions; without `self` and `cls`, dunder
    names, parameters of dunder methods and constants of a class.
    """
    conventional_nodes = set(conventional_bindings(tree))
    for node in ast.walk(tree):
        name = bound_name(node)
        if name in (None, "self", "cls", "_") or node in conventional_nodes:
            continue
        if not name.startswith("__"):
            yield name, getattr(node, "lineno", 0)


def bound_name(node: ast.AST) -> str | None:
    """Return the name that a node binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return name
        case ast.arg(arg=name):
            return name
        case (
            ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name)
        ):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
    return None


def conventional_bindings(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes of which a convention chooses the name.

    Parameters of dunder methods, and constants of a class such as the members of an enumeration.
    """
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and is_dunder_method(node):
            yield from ast.walk(node.args)
        elif isinstance(node, ast.ClassDef):
            yield from class_constants(node)


def is_dunder_method(function: Function) -> bool:
    """Return whether a method's parameters are given by the language, unlike a constructor's."""
    return function.name.startswith("__") and function.name != "__init__"


def class_constants(class_node: ast.ClassDef) -> Iterator[ast.Name]:
    """Yield the names in upper case that a class assigns."""
    for statement in class_node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                yield target


def find_vague_names(source: Source) -> list[Finding]:
    """Return the bindings whose name is a participle or a pronoun alone.

    The name `left` is the side in a file that also has the name `right`.
    """
    names = list(bound_names(source.tree))
    has_sides = any(name == "right" for name, _ in names)
    findings = []
    for name, line in names:
        if is_vague(name) and not (has_sides and name == "left"):
            findings.append(Finding(source.path, line, name))
    return findings


def count_names(source: Source) -> int:
    """Return the number of bindings."""
    return sum(1 for _ in bound_names(source.tree))


def is_vague(name: str) -> bool:
    """Return whether a name is a participle or a pronoun without a noun.

    With or without adverbs: `found`, `all_others`, `not_yet_seen`.
    """
    words = {word for word in name.lower().split("_") if word}
    content_words = words - ADVERBS
    return bool(content_words) and all(map(is_participle_or_pronoun, content_words))


def is_participle_or_pronoun(word: str) -> bool:
    """Return whether a word in lower case is one by its form."""
    if word in IRREGULAR_PARTICIPLES or word in PRONOUNS:
        return True
    if word in BASE_FORMS_IN_ED or word in FIELD_ADJECTIVES:
        return False
    return len(word) > 3 and word.isalpha() and word.endswith("ed")
