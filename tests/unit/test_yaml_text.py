"""What is read from YAML, and what is refused in words."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.errors import UserError
from vaebench.plain_text import CONTROL
from vaebench.yaml_text import DEEPEST, parse_yaml, read_yaml, to_yaml

PLAIN = st.text(max_size=20).filter(lambda text: not CONTROL.search(text))
SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | PLAIN
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse_yaml(to_yaml(value)) == value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="[]{}&*<:-,!|>'\"#%@ \n\tab01.eE~", max_size=200) | st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with contextlib.suppress(UserError):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("-1.5E+2", -150.0), (".5", 0.5), ("3.", 3.0), ("12", 12), ("-0", 0),
        ("1:30", "1:30"), ("2020-13-01", "2020-13-01"), ("2020-01-01", "2020-01-01"),
        ("yes", "yes"), ("no", "no"), ("true", True), ("0b", "0b"), ("0x1f", "0x1f"),
        ("1_000", "1_000"), (".inf", ".inf"), ("~", None), ("", None), ("'010'", "010"),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 010", "line 1: '010' begins with 0"),
        ("a: 1\na: 2", "line 2: key 'a' twice"),
        ("[1]: 2", "line 1: a key is not a single word"),
        ("? {a: 1}\n: 2", "a key is not a single word"),
        ("a: " + "9" * 5000, "line 1: a number of 5000 characters"),
        ("[" * 5000, f"deeper than {DEEPEST} levels"),
        ("{a: " * 40 + "1" + "}" * 40, f"deeper than {DEEPEST} levels"),
        ("&a [*a]", "an alias of the list or mapping that it is in"),
        ("!!python/object/apply:os.system [ls]", "is not taken"),
        ("!!binary aGFsbG8=", "line 1: 'binary' is not taken"),
        ("!!timestamp 2020-01-01", "line 1: 'timestamp' is not taken"),
        ("!!set {a, b}", "line 1: 'set' is not taken"),
        ('a: "\\e[31m"', "line 1: a text has control characters"),
        ("a: b: c", "mapping values are not allowed"),
        ("a: *b", "undefined alias"),
        ("---\na: 1\n---\nb: 2", "another document"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", "not valid YAML"),
    ],
)
def test_other_things_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match="not valid YAML") as caught:
        parse_yaml(text)
    assert message in str(caught.value)


def test_aliases_by_the_billion_are_refused_at_once() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 10)]
    with pytest.raises(UserError, match="values by its aliases"):
        parse_yaml("\n".join(levels))


def test_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    with pytest.raises(UserError, match=r"cannot read .*some\.yaml: No such file"):
        read_yaml(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"some\.yaml is not a text file in UTF-8"):
        read_yaml(file)
    file.write_text("a: [")
    with pytest.raises(UserError, match=r"some\.yaml is not valid YAML"):
        read_yaml(file)


def test_the_projects_configs_are_read_as_by_pyyaml_but_for_exponents() -> None:
    from tests.conftest import PROJECT

    for file in sorted((PROJECT / "config").glob("*.yaml")):
        assert read_yaml(file) == yaml.safe_load(file.read_text())
