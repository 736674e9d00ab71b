"""The expressions of `kappa watch --where`: comparisons of a record's fields, joined by and, or, not. No calls, no code.

    status = '1' and product_id > 5
    op = 'update' and before.status <> after.status
    topic in ('orderview', 'productview') or key.order_id = 17

A bare name is a field of the row (or of the record itself: topic, partition, offset, op, gtid, key, before, after, changed);
`=` and `==`, `<>` and `!=` mean the same, as do AND and and; null, true and false are SQL's.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.errors import UsageError
from infra.watch_record import Record

Value = Callable[[Record], Any]

TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|<>|[=!<>]=|=|\w+|\s+|.", re.DOTALL)
SPELLINGS = {"=": "==", "<>": "!=", "null": "None", "true": "True", "false": "False", "and": "and", "or": "or", "not": "not", "in": "in", "is": "is"}
OF_RECORD = ("topic", "partition", "offset", "op", "gtid", "key", "before", "after", "changed")
EXAMPLE = """for example: --where "status = '1' and product_id > 5"; see ./kappa watch --help"""

ORDERINGS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
EQUALITIES: dict[type[ast.cmpop], bool] = {ast.Eq: True, ast.NotEq: False, ast.Is: True, ast.IsNot: False}
MEMBERSHIPS: dict[type[ast.cmpop], bool] = {ast.In: True, ast.NotIn: False}


def predicate(expression: str) -> Callable[[Record], bool]:
    """Whether a record fulfils an expression. Raises UsageError with the position of what is wrong in it."""
    python, positions = _as_python(expression)
    try:
        tree = ast.parse(python, mode="eval").body
        meaning = _value(tree)
    except SyntaxError as error:
        # Python says 0 for an expression that ends too early.
        at = positions[min(error.offset or len(positions), len(positions)) - 1]
        reason = error.msg if isinstance(error, _NotAllowedError) else "this is no expression"
        raise UsageError(f"--where: {reason}, at character {at + 1}: {expression[:at]} >>> {expression[at:]}", EXAMPLE) from error
    return lambda record: bool(meaning(record))


class _NotAllowedError(SyntaxError):
    """A valid Python expression, but none of ours."""

    def __init__(self, what: str, node: ast.expr) -> None:
        super().__init__(what, ("", node.lineno, node.col_offset + 1, ""))


def _as_python(expression: str) -> tuple[str, list[int]]:
    """The expression in Python's spelling, and for each of its characters the position of the original one."""
    text, positions = "", []
    for token in TOKEN.finditer(expression):
        word = SPELLINGS.get(token[0].lower(), " " if token[0].isspace() else token[0])
        positions += [token.start() + min(i, len(token[0]) - 1) for i in range(len(word))]
        text += word
    stripped = len(text) - len(text.lstrip())
    return text[stripped:], [*positions[stripped:], len(expression)]


def _value(node: ast.expr) -> Value:
    """The meaning of a node as a function of the record."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        constant = node.value
        return lambda record: constant
    if isinstance(node, ast.Name | ast.Attribute):
        return _field(node)
    if isinstance(node, ast.Tuple | ast.List):
        items = [_value(item) for item in node.elts]
        return lambda record: [item(record) for item in items]
    if isinstance(node, ast.BoolOp):
        parts, join = [_value(part) for part in node.values], all if isinstance(node.op, ast.And) else any
        return lambda record: join(part(record) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _value(node.operand)
        return lambda record: not inner(record)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return _negative(node.operand)
    if isinstance(node, ast.Compare):
        return _comparison(node)
    raise _NotAllowedError("only fields, values, comparisons, and, or, not are understood", node)


def _negative(node: ast.Constant) -> Value:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise _NotAllowedError("only a number can be negative", node)
    number = -node.value
    return lambda record: number


def _field(node: ast.Name | ast.Attribute) -> Value:
    """`name`, or `part.name` where the part is key, before or after."""
    if isinstance(node, ast.Name):
        name = node.id
        return lambda record: getattr(record, name) if name in OF_RECORD else record.fields.get(name)
    if not (isinstance(node.value, ast.Name) and node.value.id in ("key", "before", "after")):
        raise _NotAllowedError("a dot goes after key, before or after only", node)
    part, column = node.value.id, node.attr

    def column_of(record: Record) -> Any:
        row = getattr(record, part)
        return row.get(column) if isinstance(row, Mapping) else None

    return column_of


def _comparison(node: ast.Compare) -> Value:
    operands = [_value(operand) for operand in (node.left, *node.comparators)]
    tests = [_test(op) for op in node.ops]

    def holds(record: Record) -> bool:
        values = [operand(record) for operand in operands]
        return all(test(left, right) for test, left, right in zip(tests, values, values[1:], strict=False))

    return holds


def _test(op: ast.cmpop) -> Callable[[Any, Any], bool]:
    kind = type(op)
    if kind in EQUALITIES:
        return lambda left, right: _equal(left, right) is EQUALITIES[kind]
    if kind in MEMBERSHIPS:
        return lambda left, right: _among(left, right) is MEMBERSHIPS[kind]
    return lambda left, right: _ordered(ORDERINGS[kind], left, right)


def _equal(left: Any, right: Any) -> bool:
    left, right = _alike(left, right)
    return bool(left == right)


def _among(value: Any, values: Any) -> bool:
    if isinstance(values, str):
        return isinstance(value, str) and value in values
    return isinstance(values, list | tuple | Mapping) and any(_equal(value, item) for item in values)


def _ordered(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """A comparison by size; with nothing, or with something of another kind, it does not hold (as in SQL)."""
    left, right = _alike(left, right)
    try:
        return compare(left, right)
    except TypeError:
        return False


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values in one kind: a number in quotes equals the number, a time equals its text."""
    if isinstance(left, str) and not isinstance(right, str):
        right, left = _alike(right, left)
        return left, right
    if not isinstance(right, str) or isinstance(left, str) or left is None:
        return left, right
    if isinstance(left, int | float) and not isinstance(left, bool):
        try:
            return left, type(left)(right)
        except ValueError:
            return left, right
    return (left.isoformat(), right) if hasattr(left, "isoformat") else (left, right)
