"""The expressions of `kappa watch --where`: comparisons of a record's fields, joined by and, or,
not. They are data: there are no calls.

    status = '1' and product_id > 5
    op = 'update' and before.status <> after.status
    topic in ('orderview', 'productview') or key.order_id = 17

A bare name is a field of the row (or of the record itself: topic, partition, offset, op, gtid, key,
before, after, changed); `=` and `==`, `<>` and `!=` mean the same, as do AND and and; null, true
and false are SQL's.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from infra.cli.watch.record import Record
from schemas.errors import UsageError

Value = Callable[[Record], Any]

TOKEN = re.compile(
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|<>|[=!<>]=|=|\w+|\s+|.", re.DOTALL
)
SPELLINGS = {
    "=": "==",
    "<>": "!=",
    "null": "None",
    "true": "True",
    "false": "False",
    "and": "and",
    "or": "or",
    "not": "not",
    "in": "in",
    "is": "is",
}
OF_RECORD = (
    "topic",
    "partition",
    "offset",
    "op",
    "gtid",
    "key",
    "before",
    "after",
    "changed",
)
ALLOWED = "only fields, values, comparisons, and, or, not are understood"
EXAMPLE = (
    """for example: --where "status = '1' and product_id > 5"; see ./kappa watch --help"""
)

ORDERINGS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
EQUALITIES: dict[type[ast.cmpop], bool] = {
    ast.Eq: True,
    ast.NotEq: False,
    ast.Is: True,
    ast.IsNot: False,
}
MEMBERSHIPS: dict[type[ast.cmpop], bool] = {ast.In: True, ast.NotIn: False}


def predicate(expression: str) -> Callable[[Record], bool]:
    """Return a function that says whether an expression is true of a record.

    Raises UsageError with the position of what is wrong in the expression.
    """
    python, positions = _as_python(expression)
    try:
        tree = ast.parse(python, mode="eval").body
        value_of = _value(tree)
    except SyntaxError as error:
        # Python gives offset 0 for an expression that ends too early.
        offset = min(error.offset or len(positions), len(positions))
        at = positions[offset - 1]
        reason = (
            error.msg if isinstance(error, _NotAllowedError) else "this is no expression"
        )
        excerpt = f"{expression[:at]} >>> {expression[at:]}"
        raise UsageError(
            f"--where: {reason}, at character {at + 1}: {excerpt}", EXAMPLE
        ) from error
    return lambda record: bool(value_of(record))


class _NotAllowedError(SyntaxError):
    """A valid Python expression that --where does not have."""

    def __init__(self, reason: str, node: ast.expr) -> None:
        super().__init__(reason, ("", node.lineno, node.col_offset + 1, ""))


def _as_python(expression: str) -> tuple[str, list[int]]:
    """The expression in Python's spelling, and for each of its characters the position of the
    original one.
    """
    python = ""
    positions = []
    for match in TOKEN.finditer(expression):
        token = match[0]
        default = " " if token.isspace() else token
        spelling = SPELLINGS.get(token.lower(), default)
        last = len(token) - 1
        positions += [match.start() + min(i, last) for i in range(len(spelling))]
        python += spelling
    start = len(python) - len(python.lstrip())
    return python[start:], [*positions[start:], len(expression)]


def _value(node: ast.expr) -> Value:
    """The value of a node as a function of the record."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        constant = node.value
        return lambda record: constant
    if isinstance(node, ast.Name | ast.Attribute):
        return _field(node)
    if isinstance(node, ast.Tuple | ast.List):
        items = [_value(item) for item in node.elts]
        return lambda record: [item(record) for item in items]
    if isinstance(node, ast.BoolOp):
        parts = [_value(part) for part in node.values]
        join = all if isinstance(node.op, ast.And) else any
        return lambda record: join(part(record) for part in parts)
    if isinstance(node, ast.UnaryOp):
        return _unary(node)
    if isinstance(node, ast.Compare):
        return _comparison(node)
    raise _NotAllowedError(ALLOWED, node)


def _unary(node: ast.UnaryOp) -> Value:
    operand = node.operand
    if isinstance(node.op, ast.Not):
        value_of = _value(operand)
        return lambda record: not value_of(record)
    if not (isinstance(node.op, ast.USub) and isinstance(operand, ast.Constant)):
        raise _NotAllowedError(ALLOWED, node)
    constant = operand.value
    if isinstance(constant, bool) or not isinstance(constant, int | float):
        raise _NotAllowedError("only a number can be negative", operand)
    number = -constant
    return lambda record: number


def _field(node: ast.Name | ast.Attribute) -> Value:
    """`name`, or `part.name` where the part is key, before or after."""
    if isinstance(node, ast.Name):
        name = node.id
        if name in OF_RECORD:
            return lambda record: getattr(record, name)
        return lambda record: record.fields.get(name)
    if not (
        isinstance(node.value, ast.Name) and node.value.id in ("key", "before", "after")
    ):
        raise _NotAllowedError("a dot goes after key, before or after only", node)
    part = node.value.id
    column = node.attr

    def column_of(record: Record) -> Any:
        row = getattr(record, part)
        return row.get(column) if isinstance(row, Mapping) else None

    return column_of


def _comparison(node: ast.Compare) -> Value:
    operands = [_value(operand) for operand in (node.left, *node.comparators)]
    tests = [_test(op) for op in node.ops]

    def is_true(record: Record) -> bool:
        values = [operand(record) for operand in operands]
        pairs = pairwise(values)
        return all(
            test(left, right) for test, (left, right) in zip(tests, pairs, strict=True)
        )

    return is_true


def _test(op: ast.cmpop) -> Callable[[Any, Any], bool]:
    kind = type(op)
    if kind in EQUALITIES:
        return lambda left, right: _are_equal(left, right) is EQUALITIES[kind]
    if kind in MEMBERSHIPS:
        return lambda left, right: _contains(right, left) is MEMBERSHIPS[kind]
    return lambda left, right: _compare(ORDERINGS[kind], left, right)


def _are_equal(left: Any, right: Any) -> bool:
    left, right = _in_one_type(left, right)
    return bool(left == right)


def _contains(values: Any, value: Any) -> bool:
    if isinstance(values, str):
        return isinstance(value, str) and value in values
    if not isinstance(values, list | tuple | Mapping):
        return False
    return any(_are_equal(value, item) for item in values)


def _compare(ordering: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """A comparison by size; with null, or with a value of another type, it is false (as in SQL)."""
    left, right = _in_one_type(left, right)
    try:
        return ordering(left, right)
    except TypeError:
        return False


def _in_one_type(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values in one type: a number in quotes equals the number, a time equals its text."""
    if isinstance(left, str) and not isinstance(right, str):
        right, left = _in_one_type(right, left)
        return left, right
    if not isinstance(right, str) or isinstance(left, str) or left is None:
        return left, right
    if isinstance(left, int | float) and not isinstance(left, bool):
        try:
            return left, type(left)(right)
        except ValueError:
            return left, right
    if hasattr(left, "isoformat"):
        return left.isoformat(), right
    return left, right
