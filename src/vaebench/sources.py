"""Digests of the code that decides a result, taken over its meaning and not its text.

Comments, docstrings, annotations and layout do not count, so reformatting retrains nothing. A run
depends on the core modules and on its own objective and likelihood with whatever they call in
their module: adding an objective retrains nothing, editing one retrains its runs alone.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from vaebench.figures import FIGURES
from vaebench.files import digest_bytes, digest_file
from vaebench.likelihoods import LIKELIHOODS
from vaebench.objectives import OBJECTIVES

PACKAGE = Path(__file__).parent

CORE = (
    "evaluation/arrays.py",
    "evaluation/bounds.py",
    "models/mlp.py",
    "training/adam.py",
    "training/loop.py",
    "streams.py",
)
"""Every module whose code decides what a run's numbers are, beside its objective and likelihood."""


def source_digest(objective: str, likelihood: str) -> str:
    """The digest of all code that decides the result of runs with this objective and likelihood.

    Raises:
        OSError: a source file cannot be read.
    """
    parts = [
        *(f"{module} {module_digest(PACKAGE / module)}" for module in CORE),
        f"objective {function_digest(OBJECTIVES[objective].bound)}",
        f"likelihood {function_digest(LIKELIHOODS[likelihood].log_likelihood)}",
    ]
    return digest_bytes("\n".join(parts).encode())


def figure_digest(name: str) -> str:
    """The digest of the code that draws a figure: its module and all that figures share."""
    folder = PACKAGE / "figures"
    shared = sorted(path.name for path in folder.glob("*.py") if path.stem not in FIGURES)
    names = [f"{name}.py", *shared]
    return modules_digest(*(f"figures/{file}" for file in names), "results.py", "statistics.py")


def modules_digest(*files: str) -> str:
    """The digest of some of this package's files together: modules by meaning, others by bytes."""
    paths = [PACKAGE / file for file in files]
    return digest_bytes(
        "".join(module_digest(p) if p.suffix == ".py" else digest_file(p) for p in paths).encode()
    )


@cache
def module_digest(path: Path) -> str:
    """The digest of a module's meaning."""
    return digest_bytes(canonical(_parse(path)).encode())


def function_digest(function: Callable[..., Any]) -> str:
    """The digest of a function's meaning and of all that it uses from the top of its module."""
    code: CodeType = function.__code__
    return definition_digest(Path(code.co_filename), function.__name__)


@cache
def definition_digest(path: Path, name: str) -> str:
    """As `function_digest`, for the definition of `name` in the file at `path`."""
    definitions = _definitions(_parse(path))
    found: dict[str, ast.stmt] = {}
    wanted = [name]
    while wanted:
        name = wanted.pop()
        if name in definitions and name not in found:
            found[name] = definitions[name]
            wanted += _names_used(definitions[name])
    text = "\n".join(f"{name}: {canonical(found[name])}" for name in sorted(found))
    return digest_bytes(text.encode())


def canonical(node: ast.AST) -> str:
    """A syntax tree as text: the same for sources that mean the same in Python 3.11 to 3.13.

    `ast.dump` will not do: which empty fields it prints depends on Python's version.
    """
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return f"AnnAssign({canonical(node.target)})"
    fields = []
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "ctx", "kind", "type_comment", "type_params"):
            continue
        if name == "body" and isinstance(value, list):
            value = _without_docstring(node, value)
        text = _canonical_field(value)
        if text:
            fields.append(f"{name}={text}")
    return f"{type(node).__name__}({','.join(fields)})"


def _canonical_field(value: object) -> str:
    if isinstance(value, ast.AST):
        return canonical(value)
    if isinstance(value, list):
        return f"[{','.join(_canonical_field(item) for item in value)}]" if value else ""
    return "" if value is None else repr(value)


def _without_docstring(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    # Also the strings below fields and constants, which document them.
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return body
    return [statement for statement in body if not _is_string(statement)]


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _definitions(module: ast.Module) -> dict[str, ast.stmt]:
    """What the top of a module defines, by name."""
    found: dict[str, ast.stmt] = {}
    for statement in module.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=targets):
                found |= {
                    target.id: statement for target in targets if isinstance(target, ast.Name)
                }
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = statement
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name: statement for alias in names}
    return found


def _names_used(statement: ast.stmt) -> Iterator[str]:
    """Names that a definition reads, but for its annotations and the registry that decorates it."""
    queue: list[ast.AST] = [statement]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Name):
            yield node.id
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            children = value if isinstance(value, list) else [value]
            if name == "decorator_list":
                # `@objective(posterior=...)`: its arguments count, the registry itself does not.
                children = [
                    argument
                    for call in children
                    if isinstance(call, ast.Call)
                    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
                ]
            queue += [child for child in children if isinstance(child, ast.AST)]
