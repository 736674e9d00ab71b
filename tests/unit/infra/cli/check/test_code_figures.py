"""The figures of the code, on small files of which each figure is known."""

import textwrap
from pathlib import Path

import pytest

from infra.cli.check import code_figures, sources, statements
from infra.cli.check import names as vague_names
from infra.cli.check import prose as prose_figures
from infra.cli.check.code_figures import Row
from infra.cli.check.sources import Finding, Source

VAGUE_NAMES = vague_names.word_set(
    """
    found held one asked told done kept each other others nothing what _seen FOUND archived all_
    not_yet_seen given_up all_done
    """
)
CLEAR_NAMES = vague_names.word_set(
    """
    seed need speed feed embed red id next rows found_rows archived_partitions created_at loaded_by
    is_closed has_other expected parsed truncated committed only not_now settings missing_changes
    othello _
    """
)
FIFTY_LINES = "def load():\n" + "    step()\n" * 50


def source_of(text: str, path: str = "spark/merge/rows.py") -> Source:
    return sources.parse(path, textwrap.dedent(text))


def texts_of(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings]


@pytest.mark.parametrize(
    ("files", "arrows", "arrows_up"),
    [
        pytest.param({"infra/cli/main.py": "import spark.session"}, 1, 0, id="down"),
        pytest.param(
            {"schemas/topics.py": "from infra.errors import Error"}, 1, 1, id="up"
        ),
        pytest.param({"spark/plan.py": "import processors.counts"}, 1, 1, id="sideways"),
        pytest.param(
            {"spark/plan.py": "from spark.merge import rows"}, 0, 0, id="same folder"
        ),
        pytest.param({"spark/plan.py": "from . import rows"}, 0, 0, id="relative"),
        pytest.param(
            {"spark/plan.py": "import sparkling, json"}, 0, 0, id="other packages"
        ),
        pytest.param(
            {
                "infra/a.py": "import schemas.topics",
                "infra/b.py": "from schemas import topics",
            },
            1,
            0,
            id="one arrow for two imports",
        ),
        pytest.param(
            {"connectors/a.py": "def load():\n    import infra.log"},
            1,
            1,
            id="in a function",
        ),
    ],
)
def test_arrows_are_counted_between_folders(
    files: dict[str, str], arrows: int, arrows_up: int
) -> None:
    figures = code_figures.measure_sources([source_of(files[path], path) for path in files])
    assert (figures.arrows, figures.arrows_up) == (arrows, arrows_up)


@pytest.mark.parametrize(
    ("paths", "median", "largest"),
    [
        pytest.param([], 0, 0, id="nothing"),
        pytest.param(["spark/a.py", "spark/b.py", "infra/c.py"], 1.5, 2, id="two folders"),
        pytest.param(
            ["spark/a.py", "spark/log/b.py", "spark/log/c.py"], 1.5, 2, id="sub-folders"
        ),
        pytest.param(["spark/a.py", "spark/__init__.py"], 1, 1, id="without __init__"),
        pytest.param(
            ["infra/a.py", "infra/services/b.py", "infra/services/c.py"],
            1,
            1,
            id="services",
        ),
    ],
)
def test_files_are_counted_per_folder(
    paths: list[str], median: float, largest: int
) -> None:
    figures = code_figures.measure_sources([source_of("", path) for path in paths])
    assert (figures.files_per_folder_median, figures.files_per_folder_max) == (
        median,
        largest,
    )


@pytest.mark.parametrize(
    ("text", "growth"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("count = 1\n", 0, id="short lines"),
        pytest.param(
            f"total = add({'a' * 40}, {'b' * 40})\n", 200, id="a line of 95 columns"
        ),
        pytest.param(
            "names = [\n    first,\n]\n", 0, id="a trailing comma keeps the layout"
        ),
    ],
)
def test_growth_is_measured_at_88_columns(text: str, growth: float | None) -> None:
    assert code_figures.measure_sources([source_of(text)]).growth_percent == growth


def test_growth_counts_the_tests_too() -> None:
    long_line = f"total = add({'a' * 40}, {'b' * 40})\n"
    code = source_of("count = 1\n")
    test = source_of(long_line, "tests/unit/test_rows.py")
    figures = code_figures.measure_sources([code], [test])
    assert figures.growth_percent == 100
    assert figures.test_lines_per_code_line == 1


@pytest.mark.parametrize(
    ("text", "long_functions", "percent"),
    [
        pytest.param("def load():\n    step()\n", 0, 0, id="short"),
        pytest.param(FIFTY_LINES, 1, 100, id="long"),
        pytest.param(
            f"{FIFTY_LINES}\n\nasync def save():\n    step()\n", 1, 50, id="one of two"
        ),
        pytest.param(
            "def load():\n" + f"    total = add({'a' * 35}, {'b' * 35})\n" * 20,
            1,
            100,
            id="long at 88 columns only",
        ),
    ],
)
def test_long_functions_are_counted_after_reformatting(
    text: str, long_functions: int, percent: float
) -> None:
    figures = code_figures.measure_sources([source_of(text)])
    assert figures.long_functions == long_functions
    assert figures.long_functions_percent == percent


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        pytest.param("pass", [1], id="pass"),
        pytest.param("count = 1", [4], id="an assignment: itself, name, context, constant"),
        pytest.param("import json", [2], id="an import"),
        pytest.param("count = first + second", [9], id="an operator counts"),
        pytest.param("if ready:\n    pass", [1], id="the test of an if is not measured"),
        pytest.param(
            "match kind:\n    case 1:\n        pass", [1], id="nor the subject of a match"
        ),
        pytest.param('"""Rows."""\ncount = 1', [4], id="nor docstrings"),
        pytest.param("def load(path: str) -> None:\n    return", [1], id="nor parameters"),
    ],
)
def test_nodes_are_counted_per_simple_statement(text: str, sizes: list[int]) -> None:
    assert statements.statement_sizes([source_of(text)]) == sizes


def test_mean_and_90th_percentile_are_over_all_statements() -> None:
    figures = code_figures.measure_sources([source_of("pass\n" * 9 + "count = 1\n")])
    assert figures.nodes_mean == pytest.approx(1.3)
    assert figures.nodes_90th_percentile == 4


def test_dense_statements_are_those_over_25_nodes() -> None:
    dense = f"rows = [{', '.join(['1'] * 30)}]"
    assert texts_of(statements.find_dense_statements(source_of("rows = [1]"))) == []
    (finding,) = statements.find_dense_statements(source_of(f"pass\n{dense}"))
    assert (finding.line, finding.size) == (2, 35)
    assert finding.text.startswith("35 nodes: rows = [1, 1,")


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        pytest.param("a, b = 1, 2", ["a, b = (1, 2)"], id="two values"),
        pytest.param("self.a, b = x, y", ["self.a, b = (x, y)"], id="an attribute"),
        pytest.param("a, b = b, a", [], id="a swap"),
        pytest.param("rows[i], rows[j] = rows[j], rows[i]", [], id="a swap of members"),
        pytest.param("a, b = load()", [], id="unpacked from a call"),
        pytest.param("a = 1, 2", [], id="a tuple as a value"),
        pytest.param("for a, b in pairs:\n    pass", [], id="a loop"),
    ],
)
def test_tuple_assignments(text: str, findings: list[str]) -> None:
    assert texts_of(statements.find_tuple_assignments(source_of(text))) == findings


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("[row for row in rows]", 0, id="one loop"),
        pytest.param("[row for row in rows if row if row.key]", 0, id="two conditions"),
        pytest.param("[row for part in parts for row in part]", 1, id="two loops"),
        pytest.param(
            "[[row for row in part] for part in parts]", 1, id="one inside another"
        ),
        pytest.param("{a: sum(b for b in c) for a, c in d}", 1, id="a generator inside"),
        pytest.param("sum(b for b in c), max(b for b in c)", 0, id="side by side"),
        pytest.param("[[[a for a in b] for b in c] for c in d]", 2, id="three deep"),
    ],
)
def test_nested_comprehensions(text: str, count: int) -> None:
    assert len(statements.find_nested_comprehensions(source_of(text))) == count


@pytest.mark.parametrize(
    "name",
    sorted(VAGUE_NAMES),
)
def test_participles_and_pronouns_are_vague_names(name: str) -> None:
    assert vague_names.is_vague(name)


@pytest.mark.parametrize(
    "name",
    sorted(CLEAR_NAMES),
)
def test_names_with_a_noun_and_words_of_the_field_are_not_vague(name: str) -> None:
    assert not vague_names.is_vague(name)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(
            "found = 1\nprint(found)", ["found"], id="a variable, where it is bound"
        ),
        pytest.param("for one in rows:\n    pass", ["one"], id="a loop name"),
        pytest.param("[each.key for each in rows]", ["each"], id="a comprehension"),
        pytest.param("class Task:\n    done: bool", ["done"], id="a field"),
        pytest.param("self.held = 1", ["held"], id="an attribute"),
        pytest.param(
            "def load(wanted, *, taken): pass", ["wanted", "taken"], id="parameters"
        ),
        pytest.param("def carried(): pass", ["carried"], id="a function"),
        pytest.param("with lock as held:\n    pass", ["held"], id="a context"),
        pytest.param(
            "try:\n    pass\nexcept OSError as known:\n    pass",
            ["known"],
            id="an exception",
        ),
        pytest.param(
            "match row:\n    case [one, *_]:\n        pass", ["one"], id="a pattern"
        ),
        pytest.param("option(required=True, hidden=True)", [], id="keywords of a call"),
        pytest.param("def __eq__(self, other): pass", [], id="a dunder method"),
        pytest.param("def __init__(self, other): pass", ["other"], id="a constructor"),
        pytest.param(
            "class State(Enum):\n    PAUSED = 1", [], id="members of an enumeration"
        ),
        pytest.param("__all__ = []", [], id="a dunder name"),
        pytest.param("left = 1", ["left"], id="the rest"),
        pytest.param("left = 1\nright = 2", [], id="a side"),
    ],
)
def test_vague_names_are_reported_where_they_are_bound(text: str, names: list[str]) -> None:
    assert sorted(texts_of(vague_names.find_vague_names(source_of(text)))) == sorted(names)


def test_names_are_counted_as_often_as_they_are_bound() -> None:
    source = source_of(
        "def load(self, path):\n    rows = 1\n    rows = 2\n    return rows\n"
    )
    assert vague_names.count_names(source) == 4


@pytest.mark.parametrize(
    ("prose", "turns"),
    [
        pytest.param("What the shop returns.", ["What the shop returns."], id="a clause"),
        pytest.param(
            "Return rows. What is missing is null.",
            ["What is missing is null."],
            id="a second one",
        ),
        pytest.param("What if the broker is down?", [], id="a question with if"),
        pytest.param("What does the broker return?", [], id="a question"),
        pytest.param("Return what the broker returned.", [], id="a clause as an object"),
        pytest.param("Nobody: nobody reads it.", ["nobody"], id="nobody"),
        pytest.param("The broker is away.", ["is away"], id="away"),
        pytest.param("A table made anew.", ["anew"], id="anew"),
        pytest.param("It resumes by itself.", ["by itself"], id="by itself"),
        pytest.param(
            "Ask once\nmore, all at\nonce.", ["once more", "at once"], id="over lines"
        ),
        pytest.param("No more than ten rows.", [], id="no more than"),
        pytest.param("More once the rows are read.", [], id="more once"),
        pytest.param("The consumer group's own offsets.", [], id="own"),
        pytest.param("Pause the compactor for at most 20 seconds.", [], id="plain"),
    ],
)
def test_archaic_turns_of_docstrings(prose: str, turns: list[str]) -> None:
    source = source_of(f'"""{prose}"""')
    assert texts_of(prose_figures.find_archaic_turns(source)) == turns


def test_archaic_turns_have_the_line_where_they_are() -> None:
    source = source_of(
        '''
        """Rows.

        Sorted by key,
        whatever the key.
        """
        LIMIT = 1
        # A limit, upon
        # which nobody agrees.
        TEXT = "whatever"  # noqa: whatever
        '''
    )
    findings = prose_figures.find_archaic_turns(source)
    lines = [(finding.line, finding.text) for finding in findings]
    assert lines == [(5, "whatever"), (8, "upon"), (9, "nobody")]


def test_words_are_those_of_docstrings_and_comments() -> None:
    source = source_of(
        '"""Return the rows."""\nTEXT = "not counted"  # two words, 3 4\n# fmt: off\n'
    )
    assert prose_figures.count_words(source) == 5


@pytest.mark.parametrize(
    ("value", "limit", "is_within", "line"),
    [
        (11.0, 11, True, "nodes   11.00  at most 11"),
        (11.01, 11, False, "nodes   11.01  at most 11  over the limit"),
        (12, 0, False, "nodes      12  at most 0   over the limit"),
        (12, None, True, "nodes      12"),
        (None, 5, True, "nodes       -  at most 5"),
    ],
)
def test_rows_show_the_limit(
    value: float | None, limit: float | None, is_within: bool, line: str
) -> None:
    row = Row("nodes", value, limit)
    assert row.is_within == is_within
    assert code_figures.format_row(row).replace("nodes" + " " * 40, "nodes") == line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "spark/merge/rows.py": "found = 1\n",
        "spark/plan.py": "rows = 1\n",
        "tests/unit/test_rows.py": "each = 1\n",
    }
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_tree_is_measured_whole_or_in_part(tree: Path) -> None:
    assert code_figures.measure(tree).vague_names_percent == 50
    assert code_figures.measure(tree).test_lines_per_code_line == 0.5
    assert code_figures.measure(tree, "spark/merge").vague_names_percent == 100
    assert code_figures.measure(tree, "spark/merge").test_lines_per_code_line is None


def test_every_figure_has_a_row(tree: Path) -> None:
    rows = code_figures.compare(code_figures.measure(tree))
    assert [row.label for row in rows if not row.is_within] == [
        "names that are participles or pronouns, %"
    ]
    assert len(rows) == 14
