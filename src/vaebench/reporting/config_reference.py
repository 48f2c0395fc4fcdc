"""The reference of a config's keys, as Markdown, from the models that check a config."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vaebench.conditioning import OBSERVED
from vaebench.data.described import FolderDataset, NpzDataset
from vaebench.experiment.dependence import DependencePlan
from vaebench.experiment.equations import EquationsPlan
from vaebench.experiment.evidence import EvidencePlan
from vaebench.experiment.grid import Experiment, Override
from vaebench.experiment.latent import LatentPlan
from vaebench.experiment.settings import REGISTRIES, Settings
from vaebench.experiment.tier import Execution, Tier
from vaebench.families import POSTERIORS, PRIORS
from vaebench.likelihoods import LIKELIHOODS
from vaebench.networks import NETWORKS
from vaebench.objectives import OBJECTIVES
from vaebench.parameters import Parameter

HEAD = """# Reference of the config

`vaebench schema --markdown` writes this page from the models that check a config; do not edit it.
[config/README.md](../config/README.md) explains how a config is used, and
[Your own objective](objectives.md) what a plugin can add.
"""


def config_reference() -> str:
    """The page, for what this package registers."""
    parts = [HEAD]
    sections: list[tuple[str, type[BaseModel]]] = [
        ("A tier", Tier),
        ("An experiment", Experiment),
        ("An override of an experiment", Override),
        ("`evidence` of an experiment", EvidencePlan),
        ("`equations` of an experiment", EquationsPlan),
        ("`latent` of an experiment", LatentPlan),
        ("`dependence` of an experiment", DependencePlan),
        ("`execution`", Execution),
        ("A dataset of a file: `npz`", NpzDataset),
        ("A dataset of a folder: `folder`", FolderDataset),
        ("Settings of a run", Settings),
    ]
    for title, model in sections:
        parts.append(f"\n## {title}\n\n" + "\n".join(_table(model)) + "\n")
    parts.append("\n## Parameters\n\n" + "\n".join(_parameters()) + "\n")
    for kind, known in {
        **REGISTRIES,
        "posterior": {name: one.description for name, one in POSTERIORS.items()},
        "prior": PRIORS,
    }.items():
        values = ", ".join(f"`{name}`" for name in known)
        parts.append(f"\n**{kind}**: {values}.\n")
    return "".join(parts)


def _table(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    yield "| key | type | default | what |"
    yield "|---|---|---|---|"
    for name, field in schema["properties"].items():
        default = "needed" if name in required else _default(field)
        text = field.get("description", "").replace("|", "\\|")
        yield f"| `{name}` | {_type(field)} | {default} | {text} |"


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "–" if value in (None, [], {}, "") or isinstance(value, dict) else f"`{value}`"


def _type(field: Mapping[str, Any]) -> str:
    """The type of a key in words, such as `whole number, at least 1`."""
    options = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    return " or ".join(dict.fromkeys(_one_type(option) for option in options))


def _one_type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(field["$ref"]).rsplit("/", 1)[-1]).lower()
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true` or `false`",
        "array": "list",
        "object": "mapping",
    }
    text = words.get(str(field.get("type")), "any")
    if field.get("type") == "array" and "items" in field:
        text = f"list of {_type(field['items'])}"
    for key, name in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ):
        if key in field:
            text += f", {name} {field[key]:g}"
    return text


def _parameters() -> Iterator[str]:
    """The parameters of all parts of this package, each with the parts that declare it."""
    owners: dict[str, list[str]] = {}
    known: dict[str, Parameter] = {}
    parts: dict[str, Mapping[str, Any]] = {
        "objective": OBJECTIVES,
        "likelihood": LIKELIHOODS,
        "posterior": POSTERIORS,
        "network": NETWORKS,
    }
    for kind, registry in parts.items():
        for part, entry in registry.items():
            for name, parameter in entry.parameters.items():
                known[name] = parameter
                owners.setdefault(name, []).append(f"{kind} `{part}`")
    known["observed"] = OBSERVED
    owners["observed"] = [
        f"objective `{name}`" for name, one in OBJECTIVES.items() if one.conditioning is not None
    ]
    yield "| key | type and default | taken by | what |"
    yield "|---|---|---|---|"
    for name, parameter in sorted(known.items()):
        of = ", ".join(owners[name])
        yield f"| `{name}` | {parameter.range} | {of} | {parameter.description} |"
