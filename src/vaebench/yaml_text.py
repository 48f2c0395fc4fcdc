"""Reading and writing YAML: text, numbers, lists and mappings of bounded size, and nothing else.

Scalars are those of YAML 1.2: `1e-3` is a number, `1:30` and `2020-13-01` are text, and `yes` is no
boolean. PyYAML's own loader reads YAML 1.1, in which they are 90 and a date, and `010` is 8.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from vaebench.errors import UserError
from vaebench.files import has_conflict, read_content
from vaebench.plain_text import CONTROL

DEEPEST = 30
"""The most lists and mappings inside each other."""
LARGEST = 200_000
"""The most values, with all aliases written out."""
MOST_BYTES = 16 * 1024**2
"""The largest file."""
MOST_DIGITS = 30
"""The longest number. A Python float has 17 digits, and a seed has 19."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9][0-9.eE+-]*$")
_TAG = "tag:yaml.org,2002:"


class _Loader(_Base):  # type: ignore[misc]
    """Knows the scalars of YAML 1.2, refuses what is too large, and keys that are given twice.

    PyYAML's own loaders keep the last of two equal keys.
    """

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"{_line(key)}: a key is not a single word")
            if key.value in seen:
                raise yaml.YAMLError(f"{_line(key)}: key '{key.value}' twice")
            seen.add(key.value)
        constructed: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return constructed

    def construct_number(self, node: yaml.ScalarNode) -> float | int:
        text = str(node.value)
        if len(text) > MOST_DIGITS:
            raise yaml.YAMLError(
                f"{_line(node)}: a number of {len(text)} characters; at most {MOST_DIGITS}"
            )
        if _LEADING_ZERO.match(text):
            raise yaml.YAMLError(
                f"{_line(node)}: '{text}' begins with 0, which some take for an octal number: "
                "leave the 0 out, or quote a text"
            )
        return int(text) if _INT.match(text) else float(text)

    def refuse(self, node: yaml.Node) -> None:
        kind = str(node.tag).removeprefix(_TAG)
        raise yaml.YAMLError(f"{_line(node)}: '{kind}' is not taken, only text, numbers, lists "
                             "and mappings")  # fmt: skip


class _Dumper(yaml.SafeDumper):
    """Quotes texts that `_Loader` would take for numbers."""


for _name in ("null", "bool", "str", "seq", "map"):
    _Loader.add_constructor(_TAG + _name, yaml.SafeLoader.yaml_constructors[_TAG + _name])
_Loader.add_constructor(_TAG + "int", _Loader.construct_number)
_Loader.add_constructor(_TAG + "float", _Loader.construct_number)
_Loader.add_constructor(None, _Loader.refuse)
for _pattern, _name, _first in (
    (re.compile(r"(~|null|Null|NULL|)$"), "null", ["~", "n", "N", ""]),
    (re.compile(r"(true|True|TRUE|false|False|FALSE)$"), "bool", list("tTfF")),
    (_INT, "int", list("-+0123456789")),
    (_FLOAT, "float", list("-+.0123456789")),
    (_LEADING_ZERO, "float", list("-+0")),
    (re.compile(r"<<$"), "merge", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)
_Dumper.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))


def parse_yaml(text: str) -> Any:
    """The value that a text has.

    Raises:
        UserError: it is not YAML, has other values than text, numbers, lists and mappings, the same
            key twice, or more or deeper values than `LARGEST` and `DEEPEST`.
    """
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UserError(f"not valid YAML: {error}") from None
    except ValueError as error:  # characters that YAML does not know, such as a lone surrogate
        raise UserError(f"not valid YAML: {error}") from None


def read_yaml(path: Path) -> Any:
    """The value that a file has.

    Raises:
        UserError: the file cannot be read or is not a text file, or as for `parse_yaml`.
    """
    if not path.exists():
        raise UserError(f"cannot read {path}: No such file or directory")
    content = read_content(path, "", MOST_BYTES)
    if has_conflict(content):
        raise UserError(f"{path} has the marks of a merge conflict: resolve it with git")
    try:
        return parse_yaml(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    except UserError as error:
        raise UserError(f"{path} is {error}") from None


def to_yaml(values: Any) -> str:
    """A value as YAML, with keys in their order. `parse_yaml` reads it back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _check_depth(text: str) -> None:
    """Before nodes are made, which is done by recursion."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Base)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST or count > 2 * LARGEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            what = "more than" if depth <= DEEPEST else "lists and mappings deeper than"
            limit = f"{LARGEST:,} values" if depth <= DEEPEST else f"{DEEPEST} levels"
            raise yaml.YAMLError(f"line {line}: {what} {limit}")


def _check_size(node: yaml.Node) -> None:
    """With aliases written out, of which a few can stand for billions of values."""
    sizes: dict[int, int] = {}
    unfinished = -1

    def size(one: yaml.Node) -> int:
        known = sizes.get(id(one))
        if known == unfinished:
            raise yaml.YAMLError(f"{_line(one)}: an alias of the list or mapping that it is in")
        if known is None:
            sizes[id(one)] = unfinished
            known = 1
            if isinstance(one, yaml.ScalarNode) and CONTROL.search(one.value):
                raise yaml.YAMLError(f"{_line(one)}: a text has control characters")
            if isinstance(one, yaml.SequenceNode):
                known += sum(size(item) for item in one.value)
            elif isinstance(one, yaml.MappingNode):
                known += sum(size(key) + size(value) for key, value in one.value)
            if known > LARGEST:
                raise yaml.YAMLError(f"{_line(one)}: more than {LARGEST:,} values by its aliases")
            sizes[id(one)] = known
        return known

    size(node)
