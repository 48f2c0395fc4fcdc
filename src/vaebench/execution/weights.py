"""The weights of a run as a safetensors file that says what they are."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from vaebench.experiment.settings import Settings
from vaebench.reading.parsing import parsing

KEY = "vaebench"
"""The entry of the metadata. It is one, since safetensors writes several in no fixed order, and
equal weights should be equal bytes."""
LIBRARIES = ("vaebench", "torch")


def weights_file(settings: Settings, run_hash: str, parameters: Mapping[str, Tensor]) -> bytes:
    """The content of model.safetensors.

    Its metadata have one entry, `vaebench`. It is JSON with the settings of the run, the run hash
    and the versions of this package and of torch. Nothing in it depends on time or machine.

    Args:
        settings: the settings of the run.
        run_hash: the hash of the run.
        parameters: its weights and biases by name.
    """
    known = {
        "settings": settings.given(),
        "run_hash": run_hash,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in parameters.items()}
    return save(tensors, {KEY: json.dumps(known)})


def weights_metadata(path: Path) -> dict[str, Any] | None:
    """What a file of weights says about itself. None for files of earlier versions."""
    with (
        parsing(path, "a safetensors file", "train the run again"),
        safe_open(path, framework="pt") as file,
    ):
        text = (file.metadata() or {}).get(KEY)
        if text is None:
            return None
        known: dict[str, Any] = json.loads(text)
        return known
