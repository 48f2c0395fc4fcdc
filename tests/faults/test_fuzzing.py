"""Random configs, command lines, records and archives: taken, or refused in words.

In the short form the examples are the same each time. The long form draws new ones.
"""

import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from tests.faults.conftest import Count
from tests.faults.harness import LONG
from tests.faults.test_damaged_inputs import called
from tests.tiers import make_finished_tier
from vaebench.data.registry import DATASETS
from vaebench.errors import UserError
from vaebench.experiment.grid import expand
from vaebench.experiment.tier import Tier, dump_tier, load_tier
from vaebench.files import write_atomically
from vaebench.reading.arrays import arrays_of
from vaebench.reading.tables import read_table
from vaebench.reading.tensors import tensors_of
from vaebench.runs.plausible import check_run
from vaebench.runs.record import CHECKSUM, checksum, read_record
from vaebench.verification import whole
from vaebench.yaml_text import parse_yaml, to_yaml

pytestmark = pytest.mark.faults


def many(short: int) -> settings:
    """How many examples: of the short form, and ten times as many of the long one."""
    return settings(
        max_examples=10 * short if LONG else short,
        derandomize=not LONG,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


WORDS = st.text("abcxyz019-_~{}<>|`'\"\\%#=:,*&! \n\t\0\x1b\u202eéΣ", max_size=20)
NUMBERS = st.one_of(
    st.integers(-3, 1000),
    st.integers(),
    st.sampled_from([10**9, 10**18, 2**63, 10**29, -1]),
    st.floats(),
)
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
"""What may stand anywhere in a config or a record. Without a slash, it names no file elsewhere."""
CONFIG: dict[str, Any] = {
    "tier": "fuzzed",
    "experiments": [
        {
            "name": "posterior_variance",
            "settings": {
                "dataset": "digits", "likelihood": "bernoulli", "epochs": 1, "network": "mlp",
                "hidden_units": 8, "hidden_layers": 1, "batch_size": 300, "learning_rate": 0.001,
            },
            "axes": {"objective": ["learned", "bilbo"], "latent_dim": [2], "seed": [0, 1]},
            "baseline": "learned",
            "evidence": {"images": 10},
        }
    ],
    "figures": ["fig05"],
    "claims": [{"id": "a", "says": "b", "statistic": "bound_difference", "above": 0}],
    "datasets": {"own": {"npz": "own.npz"}},
    "execution": {"threads": 1},
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values inside of a value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def changed(values: Any, draw: Callable[[Any], Any], times: int = 2) -> Any:
    """A copy of nested values with some of them replaced, removed or added."""
    values = deepcopy(values)
    for _ in range(draw(st.integers(1, times))):
        *path, key = draw(st.sampled_from(list(places(values))))
        parent = values
        for step in path:
            parent = parent[step]
        kind = draw(st.sampled_from(["replace", "remove", "add"]))
        if kind == "replace":
            parent[key] = draw(VALUES)
        elif kind == "remove" and len(values) > 1:
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(WORDS)] = draw(VALUES)
    return values


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    return make_finished_tier(tmp_path_factory.mktemp("fuzzed"), data_root).parents[1]


def test_random_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count) -> None:
    monkeypatch.chdir(tmp_path)
    known = dict(DATASETS)
    taken: list[str] = []
    refusals: list[str] = []

    @many(300)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path = tmp_path / "fuzzed.yaml"
        values = changed(CONFIG, data.draw)
        text = to_yaml(values) if data.draw(st.booleans()) else json.dumps(values)
        path.write_bytes(text.encode(errors="surrogatepass"))
        try:
            tier = load_tier(path)
        except UserError as error:
            refusals.append(str(error))
        else:
            again = Tier.model_validate(parse_yaml(dump_tier(tier, tmp_path)))
            assert [expand(e) for e in again.experiments] == [expand(e) for e in tier.experiments]
            taken.append(text)
        finally:
            DATASETS.clear()
            DATASETS.update(known)

    check()
    assert all("fuzzed.yaml" in refusal for refusal in refusals)
    assert min(len(taken), len(refusals)) > 5
    count("fuzzed configs", len(taken) + len(refusals))


def test_random_yaml(count: Count) -> None:
    tried = 0

    @many(300)
    @given(st.text("abc019-_:,[]{}&*!|>'\"#% \n\t?@`~<=.e\0\x85", max_size=60))
    def check(text: str) -> None:
        nonlocal tried
        tried += 1
        try:
            value = parse_yaml(text)
        except UserError:
            return
        assert parse_yaml(to_yaml(value)) == value

    check()
    count("fuzzed YAML texts", tried)


OPTIONS = [
    "--objective",
    "--dataset",
    "--likelihood",
    "--latent-dim",
    "--epochs",
    "--steps",
    "--seeds",
    "--posterior",
    "--prior",
    "--latent-scale",
    "--batch-size",
    "--learning-rate",
    "--schedule",
    "--weight-decay",
    "--held-out",
    "--network",
    "--precision",
    "--from",
    "--device",
    "--threads",
    "--save-every",
    "--track",
    "--beta",
    "--hidden-units",
    "--importance-samples",
    "--data-scale",
    "--observed",
    "--nonsense",
]
COMMANDS = (
    ["config", "--tier"],
    ["draw", "--tier"],
    ["claims", "--tier"],
    ["collect", "--tier"],
    ["explain"],
    ["verify", "--tier"],
    ["evidence", "--tier", "x", "--images"],
)


def test_random_command_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    count: Count,
) -> None:
    """No data can be prepared, so that nothing is trained, whatever the options are."""
    monkeypatch.chdir(tmp_path)
    tried = 0
    # No comma in long numbers: a list of a thousand values is a legal wish.
    argument = st.one_of(
        WORDS.filter(lambda text: "\0" not in text),
        NUMBERS.map(str),
        st.sampled_from(["learned", "bilbo", "digits", "0,1", "1e999", "9" * 5000, "x" * 300]),
    )

    @many(150)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal tried
        tried += 1
        if data.draw(st.booleans()):
            chosen = data.draw(st.lists(st.sampled_from(OPTIONS), max_size=4, unique=True))
            given_ = [part for option in chosen for part in (option, data.draw(argument))]
            arguments = ["train", *given_, "--data", "/dev/null/no-folder"]
        else:
            arguments = [*data.draw(st.sampled_from(COMMANDS)), data.draw(argument)]
        status, text = called(arguments, capsys)
        assert status != 0, arguments
        assert text.strip(), arguments
        assert "Traceback" not in text
        assert "\x1b[" not in text, "a control character reaches the terminal"

    check()
    assert list(tmp_path.rglob("*.json")) == []
    count("fuzzed command lines", tried)


def test_random_records(project: Path, tmp_path: Path, count: Count) -> None:
    """With a digest that fits: a forger makes it anew."""
    path = next((project / "results" / "small" / "runs").rglob("metrics.json"))
    arrays = path.with_name("arrays.npz").read_bytes()
    values = json.loads(path.read_text())
    del values[CHECKSUM]
    outcomes = {"taken": 0, "refused": 0}

    @many(200)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        forged = changed(values, data.draw)
        there = tmp_path / "metrics.json"
        try:
            text = json.dumps(forged | {CHECKSUM: checksum(forged)})
        except (TypeError, ValueError):
            return
        there.write_text(text)
        try:
            check_run(read_record(there), arrays)
            outcomes["taken"] += 1
        except UserError:
            outcomes["refused"] += 1

    check()
    assert outcomes["refused"] > 20, outcomes
    count("fuzzed records", sum(outcomes.values()))


def mangled(content: bytes, chance: random.Random) -> bytes:
    """Some bytes are changed, removed, repeated or exchanged."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        # Headers are where parsers go wrong, so half of all changes are near an end.
        end = min(len(damaged), 200) if chance.random() < 0.5 else len(damaged)
        first = chance.randrange(end) if chance.random() < 0.7 else len(damaged) - 1 - (
            chance.randrange(end)
        )  # fmt: skip
        size = chance.choice([1, 1, 2, 8, 100])
        kind = chance.randrange(4)
        if kind == 0:
            damaged[first : first + size] = chance.randbytes(size)
        elif kind == 1:
            del damaged[first : first + size]
        elif kind == 2:
            damaged[first:first] = damaged[first : first + size]
        else:
            damaged[first : first + size] = chance.choice([b"\0", b"\xff"]) * size
        if not damaged:
            return b""
    return bytes(damaged)


def archives() -> dict[str, tuple[bytes, Callable[[bytes, Path], Any]]]:
    """A valid file of each kind, and what reads it."""
    rng = np.random.default_rng(0)
    npz, parquet, plain = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, a=rng.normal(size=(20, 3)), b=np.arange(7, dtype=np.uint8))
    np.savez(plain, a=rng.normal(size=(20, 3)), b=np.arange(7, dtype=np.uint8))
    frame = pd.DataFrame({"x": rng.normal(size=50), "name": ["a", "bb"] * 25, "n": range(50)})
    frame.to_parquet(parquet, index=False, write_page_checksum=True)
    tensors = save({"w": torch.arange(6.0).view(2, 3), "b": torch.ones(4)})

    def table(content: bytes, path: Path) -> pd.DataFrame:
        path.write_bytes(content)
        return read_table(path, "")

    def numpy(content: bytes, path: Path) -> Any:
        return arrays_of(content, path, "")

    return {
        "npz, packed": (npz.getvalue(), numpy),
        "npz, plain": (plain.getvalue(), numpy),
        "safetensors": (tensors, lambda content, path: tensors_of(content, path, "")),
        "Parquet": (parquet.getvalue(), table),
    }


@pytest.mark.parametrize("kind", archives())
def test_random_archives(kind: str, tmp_path: Path, count: Count) -> None:
    content, read = archives()[kind]
    path = tmp_path / "fuzzed.file"
    read(content, path)
    tried = 4000 if LONG else 400
    refusals = []
    for number in range(tried):
        try:
            read(mangled(content, random.Random(f"{kind} {number}")), path)
        except UserError as error:
            refusals.append(str(error))
    assert all(path.name in refusal for refusal in refusals)
    assert len(refusals) > tried / 3
    count("fuzzed files of arrays, weights and tables", tried)


def test_random_tiers_in_archives(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    assert whole.OF_PAPER.exists()  # It is found from the folder in which the module is imported.
    monkeypatch.chdir(project)
    packed = tmp_path / "small.tar"
    status, text = called(["export", "--tier", "results/small", "--out", str(packed)], capsys)
    assert status == 0, text
    content = packed.read_bytes()
    tried, refused = 200 if LONG else 20, 0
    for number in range(tried):
        there = tmp_path / "there"
        there.mkdir()
        monkeypatch.chdir(there)
        write_atomically(tmp_path / "fuzzed.tar", mangled(content, random.Random(f"tar {number}")))
        status, text = called(["import", str(tmp_path / "fuzzed.tar")], capsys)
        assert "Traceback" not in text
        assert {path.name for path in tmp_path.iterdir()} == {"there", "fuzzed.tar", "small.tar"}
        if status != 0:
            refused += 1
            assert not (there / "results" / "small").exists(), text
        monkeypatch.chdir(project)
        shutil.rmtree(there)
    assert refused > tried / 3
    count("fuzzed archives of tiers", tried)
