"""A tier: a config file that names experiments and figures, and how runs are trained."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from vaebench.data.described import Description, register_datasets
from vaebench.errors import UserError
from vaebench.experiment.figures import runs_to_show
from vaebench.experiment.grid import Experiment, Run, Strict, expand
from vaebench.experiment.messages import describe
from vaebench.experiment.plugins import load_plugins
from vaebench.experiment.settings import Count, Name
from vaebench.paths import CONFIGS, PUBLISHED, RESULTS, ConfigPath, Layout
from vaebench.yaml_text import read_yaml, to_yaml

TAKEN = {PUBLISHED.relative_to(RESULTS).parts[0]: "the tiers that are kept in git"}
"""Folders in results/ that are no tiers, and what they hold."""
MOST_THREADS = 1024
"""Of a process. PyTorch ends with a segmentation fault where the system refuses so many."""


class Execution(Strict):
    """How runs are trained on this machine. Nothing here enters a run's hash."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="`auto` uses a GPU if there is one."
    )
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = Field(
        1,
        description="Threads of one training job of Snakemake on CPUs. Jobs share the cores given "
        "by --cores: with 1 thread, as many jobs as cores run side by side. `vaebench run` has "
        "`--threads`.",
    )
    save_every: Count = Field(
        10,
        description="Epochs between two saved states of a training job. A training that is "
        "counted in steps saves after every twentieth of them.",
    )
    keep_state: bool = Field(
        False,
        description="Whether the final states of runs are kept in the store, so that the same "
        "runs with more epochs or steps can continue from them. A state is three "
        "times as large as the weights.",
    )
    track: Literal["tensorboard", "mlflow", "wandb"] | None = Field(
        None,
        description="A program that shows the training, from files below tracking/. Its package "
        "has to be installed.",
    )
    mirrors: list[str] = Field(
        default_factory=list,
        description="Folders or URLs with a copy of the raw data, tried after VAEBENCH_MIRROR "
        "and before the official hosts.",
    )


class Tier(Strict):
    """One config file. It is complete in itself: it inherits nothing from another tier."""

    tier: Name = Field(description="The name of the tier, and of its folder in results/.")
    plugins: list[ConfigPath] = Field(
        default_factory=list,
        description="Your own Python files, which register objectives, likelihoods, networks, "
        "datasets, figures or statistics. Paths are relative to the config.",
    )
    # Before the experiments, whose checks read the registry that these enter.
    datasets: dict[Name, Description] = Field(
        default_factory=dict,
        description="Your own datasets: for each name, `npz: FILE` or `folder: FOLDER`. Paths are "
        "relative to the config.",
    )
    experiments: list[Experiment] = Field(min_length=1)
    figures: list[Name] = Field(description="Figures to draw. `vaebench draw --help` lists them.")
    claims: str | list[dict[str, Any]] = Field(
        default_factory=list,
        description="Your own claims, which are judged like the paper's: a file with a key "
        "`claims`, relative to this one, or the list itself, as in paper_values.yaml.",
    )
    execution: Execution = Execution()

    @field_validator("tier")
    @classmethod
    def _is_no_folder_of_others(cls, tier: str) -> str:
        if tier in TAKEN:
            raise ValueError(f"results/{tier}/ holds {TAKEN[tier]}: give the tier another name")
        return tier

    @field_validator("datasets")
    @classmethod
    def _register(cls, datasets: dict[str, Description]) -> dict[str, Description]:
        try:
            register_datasets(datasets)
        except UserError as error:
            raise ValueError(str(error)) from None
        return datasets

    @field_validator("experiments")
    @classmethod
    def _names_differ(cls, experiments: list[Experiment]) -> list[Experiment]:
        names = [experiment.name for experiment in experiments]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two experiments are named '{name}'")
        return experiments

    @model_validator(mode="after")
    def _figures_have_runs(self) -> Self:
        for name in self.figures:
            try:
                runs_to_show(name, self.experiments)
            except UserError as error:
                raise ValueError(f"figures: {error}") from None
        return self

    @property
    def runs(self) -> list[tuple[Experiment, Run]]:
        """All runs that the tier asks for, each with its experiment, in the order of the config."""
        return [
            (experiment, run)
            for experiment in self.experiments
            for cell in expand(experiment)
            for run in cell.runs
        ]

    def experiment(self, name: str) -> Experiment:
        """The experiment of that name.

        Raises:
            UserError: the tier has none of that name.
        """
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        names = ", ".join(e.name for e in self.experiments)
        raise UserError(f"tier '{self.tier}' has no experiment '{name}'; it has: {names}")

    @property
    def own_claims(self) -> list[dict[str, Any]]:
        """The claims that the config adds to the paper's, as they stand there, not yet checked.

        Raises:
            UserError: the tier was not read from a file, and so the named file was not read.
        """
        if isinstance(self.claims, str):
            raise UserError(f"claims: '{self.claims}' is read by `load_tier` alone")
        return self.claims


def load_tier(path: Path) -> Tier:
    """Read and check a tier's file. Load its plugins and register the datasets that it describes.

    Raises:
        UserError: the file is missing, is not YAML or fails the checks. The text names the file,
            the key and the value.
    """
    try:
        values = read_yaml(path)
    except UserError as error:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        there = f"; configs there: {known}" if known and not path.exists() else ""
        raise UserError(f"{error}{there}") from None
    if isinstance(values, dict) and isinstance(values.get("plugins"), list):
        # First, since the rest of the config may name what they register.
        try:
            load_plugins(path.parent / Path(str(p)).expanduser() for p in values["plugins"])
        except UserError as error:
            raise UserError(f"{path} is refused:\nplugins: {error}") from None
    if isinstance(values, dict) and isinstance(values.get("claims"), str):
        values["claims"] = _claims_in(path.parent / values["claims"], path)
    try:
        return Tier.model_validate(values, context={"folder": path.parent})
    except ValidationError as error:
        raise UserError(f"{path} is refused:\n{describe(error)}") from None


def _claims_in(path: Path, config: Path) -> list[Any]:
    """The claims in a file that a config names. The resolved config has them, not the name."""
    try:
        values = read_yaml(path)
    except UserError as error:
        raise UserError(f"{config}: claims: {error}") from None
    if not isinstance(values, dict) or list(values) != ["claims"]:
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise UserError(
            f"{config}: claims: {path} has to have one key, `claims`, with a list (found {found})"
        )
    return values["claims"] or []


def is_folder(name: str) -> bool:
    """Whether a tier is given by its folder, and not by its name or config file."""
    return "/" in name and not name.endswith((".yaml", ".yml"))


def find_tier(name: str) -> Path:
    """The config of a tier that is given by its name, its config file or its folder in results/.

    `paper` is config/paper.yaml, and `results/paper` is results/paper/config.yaml.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    return Layout(Path(name)).config if is_folder(name) else CONFIGS / f"{name}.yaml"


def find_layout(name: str) -> Layout:
    """The results of a tier that is given as for `find_tier`. They need not exist.

    Raises:
        UserError: a config file is named that cannot be read.
    """
    if name.endswith((".yaml", ".yml")):
        return Layout.of(load_tier(Path(name)).tier)
    return Layout(Path(name)) if is_folder(name) else Layout.of(name)


def own_layout(name: str, tier: Tier) -> Layout:
    """The results of a tier in results/, for commands that write them.

    Args:
        name: what the user gave, as for `find_tier`.
        tier: the tier that it names.

    Raises:
        UserError: a folder elsewhere was given, such as a copy.
    """
    layout = Layout.of(tier.tier)
    if is_folder(name) and Path(name).resolve() != layout.root.resolve():
        raise UserError(
            f"{name} is a copy of the tier '{tier.tier}', whose results are in {layout.root}: "
            f"give --tier {tier.tier}, or `vaebench import {name}` first"
        )
    return layout


def dump_tier(tier: Tier, folder: Path) -> str:
    """The tier as YAML, including all default values. `load_tier` reads it back.

    Args:
        tier: the tier.
        folder: the folder of the file that it is written to, which its paths are relative to.
    """
    # Empty keys of what few tiers have are left out, so that the config of others stays as it was.
    unused = {key for key in ("plugins", "datasets") if not getattr(tier, key)}
    values = tier.model_dump(mode="json", exclude=unused, context={"folder": folder})
    return to_yaml(values)
