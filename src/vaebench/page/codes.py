"""The codes and samples of runs, one script for each run, which the page loads when it is asked."""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vaebench.files import write_atomically
from vaebench.page.pictures import data_uri, sheet
from vaebench.page.runs import ShownRun
from vaebench.reading.thin import is_thin
from vaebench.results.read import Results

POINTS = 2000
"""The largest number of codes of a run that are shown: those of the first test images."""
LEVELS = 65535
"""The coordinates of a code are stored in so many steps over their range."""
COLUMNS = 8
PICTURES = {
    "inputs": "test images",
    "reconstructions": "their reconstructions",
    "samples": "samples",
}


def write_codes(results: Results, runs: list[ShownRun]) -> dict[str, bool]:
    """Write the files of all runs, and remove those of others.

    Of a thin copy, one run of each setting has what is shown, see `sharing/thin.py`. Of its other
    runs only what claims need is left, and nothing is shown.

    Returns:
        For each run by its key, whether it has codes, which takes two latent dimensions. A run of
        which nothing is here to show is not in it.
    """
    has_codes, written = {}, set()
    first = {run.key for run in first_of_settings(runs)}
    for run in runs:
        experiment, _, folder = run.facts["place"].partition("/")
        is_whole = not is_thin(results.layout.run(experiment, folder) / "arrays.npz")
        content = codes_of(results, run) if is_whole or run.key in first else {}
        if content.keys() & {*PICTURES, "points"}:
            has_codes[run.key] = "points" in content
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        script = f"vaebenchCodes({json.dumps(run.key)},{text});\n"
        path = results.layout.run_codes(experiment, folder)
        write_atomically(path, script.encode())
        written.add(path)
    for path in set(results.layout.codes.rglob("*.js")) - written:
        path.unlink()
    return has_codes


def first_of_settings(runs: list[ShownRun]) -> list[ShownRun]:
    """The completed run with the smallest seed of each setting of each experiment."""
    found: dict[tuple[str, str], ShownRun] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.status == "completed":
            found.setdefault((run.experiment, run.settings), run)
    return list(found.values())


def codes_of(results: Results, run: ShownRun) -> dict[str, Any]:
    """What the page shows of the codes and samples of a run, as far as its arrays are here."""
    experiment, _, folder = run.facts["place"].partition("/")
    arrays = results.arrays({"experiment": experiment, "folder": folder})
    here = arrays.keys()
    content: dict[str, Any] = {
        name: data_uri(sheet(arrays[name], COLUMNS), lossless=False)
        for name in PICTURES
        if name in here and arrays[name].ndim in (3, 4)
    }
    content["columns"] = COLUMNS
    if "samples" in here:
        content["count"] = len(arrays["samples"])
    if {"posterior_mean", "labels"} <= here and run.status == "completed":
        content |= _points(arrays["posterior_mean"][:POINTS], arrays["labels"][:POINTS])
        content |= _grid(arrays)
    return content


def _points(codes: NDArray[Any], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Codes [N, 2] as whole numbers from 0 to `LEVELS` over their range, with their labels [N]."""
    codes = codes.astype(float)
    if not np.isfinite(codes).all():
        return {}
    low, high = codes.min(0), codes.max(0)
    span = np.where(high > low, high - low, 1.0)
    steps = np.rint((codes - low) / span * LEVELS).astype("<u2")
    return {
        "points": _base64(steps),
        "labels": _base64(labels),
        "low": [float(f"{x:.6g}") for x in low],
        "span": [float(f"{x:.6g}") for x in span],
    }


def _grid(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The images that the decoder makes of a grid of codes, and the coordinates of the grid."""
    if not {"manifold", "manifold_quantiles"} <= arrays.keys():
        return {}
    steps = ndtri(arrays["manifold_quantiles"].astype(float))
    std = arrays["prior_std"].astype(float)
    side = len(steps)
    return {
        "grid": data_uri(sheet(arrays["manifold"], side), lossless=False),
        "across": [float(f"{x:.6g}") for x in steps * std[0]],
        "down": [float(f"{x:.6g}") for x in (steps * std[1])[::-1]],
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
