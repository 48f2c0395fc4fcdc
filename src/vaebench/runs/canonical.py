"""What a module, a function or a constant means, as text: the digests of code are taken of it.

Comments, docstrings, annotations and layout do not count. Neither do the places of modules: a
module that was moved or renamed as a whole is called by its former name (`FORMER_NAMES`).
"""

import ast
import functools
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from vaebench.files import digest_bytes, digest_file
from vaebench.local_imports import Stamp, imported_by, is_installed, stamp, with_imported

PACKAGE = Path(__file__).parents[1]

_DECLARATION = "parameters"
"""The argument of a decorator that declares the parameters of a function. It does not count: their
values are settings of a run, and their descriptions may change."""

FORMER_NAMES: dict[str, str] = {
    "numerics/adam": "core/adam",
    "numerics/kernels": "core/kernels",
    "numerics/streams": "core/streams",
}
"""Modules that were moved or renamed as a whole, without `.py`: the new path below the package and
the former one.

With an entry here, the move changes no digest, so it needs no attestation. An attestation that is
made after an entry was removed makes that entry unnecessary.
"""


def label(module: str) -> str:
    """The name under which a module enters a digest: its former path, if it had one.

    Args:
        module: its path below the package, such as `numerics/adam.py`.
    """
    stem = module.removesuffix(".py")
    return FORMER_NAMES[stem] + ".py" if stem in FORMER_NAMES else module


def modules_digest(*files: str) -> str:
    """The digest of some of this package's files together: modules by meaning, others by bytes."""
    paths = [PACKAGE / file for file in files]
    return digest_bytes(
        "".join(module_digest(p) if p.suffix == ".py" else digest_file(p) for p in paths).encode()
    )


def module_digest(path: Path) -> str:
    """The digest of a module's meaning."""
    return _module_digest(path, _stamp(path))


@cache
def _module_digest(path: Path, _stamp: Stamp) -> str:
    return digest_bytes(canonical(_parse(path)).encode())


def _stamp(path: Path) -> Stamp:
    """A user's file may change while this process runs, and this package's files may not."""
    return () if path.is_relative_to(PACKAGE) else stamp(path)


def function_digest(function: Callable[..., Any]) -> str:
    """The digest of a function's or class's meaning, and of all it uses from the top of its module.

    For a function that another one returned, it is the digest of the whole module and of the values
    that the function has from there. This includes a function that a decorator has wrapped.
    """
    plain: Any = function
    given: list[Any] = []
    while isinstance(plain, functools.partial) or hasattr(plain, "__wrapped__"):
        if isinstance(plain, functools.partial):
            given += [plain.args, sorted(plain.keywords.items())]
            plain = plain.func
        else:
            given += _of_wrapper(plain)
            plain = plain.__wrapped__
    path = Path(inspect.getfile(plain))
    if not given and "<locals>" not in plain.__qualname__:
        return definition_digest(path, plain.__name__)
    cells = getattr(plain, "__closure__", None) or ()
    given += [cell.cell_contents for cell in cells]
    values = [value.__qualname__ if callable(value) else repr(value) for value in given]
    return digest_bytes("\n".join([plain.__qualname__, _file_digest(path), *values]).encode())


def _of_wrapper(function: Any) -> list[Any]:
    """What a decorator adds to a function that it wraps: its file, unless installed, and values."""
    code = getattr(function, "__code__", None)
    if code is None:
        return [type(function).__qualname__]
    path = Path(code.co_filename)
    own = [] if is_installed(path) else [_file_digest(path)]
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    added = [value for value in values if value is not function.__wrapped__]
    return [code.co_qualname, *own, *added]


def definition_digest(path: Path, name: str) -> str:
    """As `function_digest`, for the definition of `name` in the file at `path`.

    Raises:
        ValueError: the file has no such definition, so no edit of it could be noticed.
    """
    return _definition_digest(path, name, _stamp(path))


@cache
def _definition_digest(path: Path, name: str, _stamp: Stamp) -> str:
    definitions = _definitions(_parse(path).body)
    if name not in definitions:
        raise ValueError(f"{name} is not defined at the top of {path}, where its code is looked up")
    found: dict[str, list[ast.stmt]] = {}
    # What `from module import *` defines is not known, so that it always counts.
    wanted = [name, "*"]
    while wanted:
        name = wanted.pop()
        if name in definitions and name not in found:
            found[name] = definitions[name]
            wanted += [used for statement in found[name] for used in _names_used(statement)]
    lines = [
        f"{name}: {_definition_text(statement, path.parent)}"
        for name in sorted(found)
        for statement in found[name]
    ]
    return digest_bytes("\n".join(lines).encode())


def canonical(node: ast.AST) -> str:
    """A syntax tree as text: the same for sources that mean the same in Python 3.11 to 3.13.

    `ast.dump` will not do: which empty fields it prints depends on Python's version.
    """
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return f"AnnAssign({canonical(node.target)})"
    fields = []
    for name, value in ast.iter_fields(node):
        value = _former(node, name, value)
        if name == "decorator_list":
            value = [_without_declaration(decorator) for decorator in value]
        if name in ("annotation", "returns", "ctx", "kind", "type_comment", "type_params"):
            continue
        if name == "body" and isinstance(value, list):
            value = _meaningful(node, value)
        text = _canonical_field(value)
        if text:
            fields.append(f"{name}={text}")
    return f"{type(node).__name__}({','.join(fields)})"


def _without_declaration(decorator: ast.expr) -> ast.expr:
    if not isinstance(decorator, ast.Call):
        return decorator
    kept = [keyword for keyword in decorator.keywords if keyword.arg != _DECLARATION]
    return ast.Call(decorator.func, decorator.args, kept)


def _former(node: ast.AST, field: str, value: Any) -> Any:
    """The field of an import statement, with the former name of a module that was moved."""
    is_module = (isinstance(node, ast.ImportFrom) and field == "module") or (
        isinstance(node, ast.alias) and field == "name"
    )
    if not (is_module and isinstance(value, str) and value.startswith("vaebench.")):
        return value
    former = FORMER_NAMES.get(value.removeprefix("vaebench.").replace(".", "/"))
    return value if former is None else "vaebench." + former.replace("/", ".")


def _canonical_field(value: object) -> str:
    if isinstance(value, ast.AST):
        return canonical(value)
    if isinstance(value, list):
        return f"[{','.join(_canonical_field(item) for item in value)}]" if value else ""
    return "" if value is None else repr(value)


def _meaningful(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without its documentation; a module's imports sorted, as a formatter may do."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return body
    # Also the strings below fields and constants, which document them.
    statements = [statement for statement in body if not _is_string(statement)]
    if not isinstance(node, ast.Module):
        return statements
    imports = [s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)]
    others = [s for s in statements if s not in imports]
    return [*sorted(imports, key=canonical), *others]


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _definition_text(statement: ast.stmt, folder: Path) -> str:
    """A definition's meaning. For an imported name, that of the whole module it is imported from.

    Args:
        statement: a statement at the top of a module.
        folder: the module's folder. Modules beside a plugin's file count, other packages do not.
    """
    if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("vaebench"):
        source = PACKAGE.joinpath(*str(statement.module).split(".")[1:])
        file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
        return f"{canonical(statement)} {module_digest(file)}"
    own = folder.is_relative_to(PACKAGE)
    beside = [] if own else [_file_digest(file) for file in imported_by(statement, folder)]
    return " ".join([canonical(statement), *beside])


def _file_digest(path: Path) -> str:
    """The digest of a plugin's file and of the files beside it that it imports."""
    files = [path] if path.is_relative_to(PACKAGE) else with_imported(path)
    return digest_bytes("".join(module_digest(one) for one in sorted(files)).encode())


def _definitions(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """What defines each name at the top of a module; of an `if` or `try`, the whole of it."""
    found: dict[str, list[ast.stmt]] = defaultdict(list)
    for statement in body:
        for name in _names_defined(statement):
            found[name].append(statement)
    return found


def _names_defined(statement: ast.AST) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        # `import a.b` defines `a`.
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    names: set[str] = set()
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt | ast.excepthandler):
            names |= _names_defined(node)
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in stored if isinstance(n.ctx, ast.Store)}
    return names


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
                calls = [_without_declaration(call) for call in children]
                children = [
                    argument
                    for call in calls
                    if isinstance(call, ast.Call)
                    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
                ]
            queue += [child for child in children if isinstance(child, ast.AST)]
