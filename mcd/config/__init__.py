"""The configuration: what every key means, its default, and what is refused.

Defaults are the paper's values (Sec. V) or our choice where it is silent, so that a file has to say only what differs: its
cohorts at least. `docs/configuration.md` shows a whole one; `config.yaml` is the embedded default.
"""

import difflib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from mcd.cohorts import LAYOUTS, find_layout, simulated_layouts
from mcd.errors import McdError
from mcd.imaging.registration_summary import REGISTRATIONS
from mcd.methods import METHODS, PRETRAININGS, TABLE_II
from mcd.registry import find_class

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Ratio = Annotated[float, Field(gt=0, le=1)]
Steps = Annotated[int, Field(ge=1)]
Code = Annotated[int, Field(ge=1, le=255)]
Millimetres = Annotated[float, Field(gt=0)]
Spacing = tuple[Millimetres, Millimetres, Millimetres]

MAX_REGIONS = 8
"""A stored prediction has a bit a region."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Simulation(Section):
    """A simulated cohort's size and quality (SPEC 8)."""

    subjects: int = Field(..., ge=2, description="how many patients")
    seed: int = Field(0, description="another seed gives other patients")
    noise: float = Field(1.0, ge=0, description="factor on the scanners' noise")
    spacing: dict[str, Spacing] = Field(
        default_factory=dict, description="scanner (MR; CT, PET) -> voxel spacing (x, y, z) mm of the raw files"
    )


class Preprocessing(Section):
    """From raw volumes to the common grid (SPEC 1.3-1.5)."""

    size: tuple[int, int] = Field(..., description="in-plane (x, y) voxels of the crop; multiples of 16")
    spacing: Spacing = Field((1.0, 1.0, 1.0), description="(x, y, z) mm of the common grid (paper Sec. V)")
    interpolation: Literal["nearest", "linear", "bspline"] = Field("nearest", description="of images (paper Sec. V)")
    statistics_region: str | dict[str, str] = Field(
        "nonzero", description="nonzero (paper), body or all: which voxels count; one rule, or one a modality"
    )
    percentiles: tuple[float, float] = Field((1.0, 99.0), description="clipping bounds (paper Sec. V)")
    centre: Literal["region", "image"] = Field("region", description="of the crop in-plane (our choice)")
    body_threshold: float = Field(-500.0, description="HU above which a voxel is body (our choice)")
    registration: str | dict[str, str] = Field(
        "off", description="off, rigid or affine (rigid first): onto the reference; one kind, or one a modality"
    )

    @field_validator("registration", mode="before")
    @classmethod
    def _known_kinds(cls, registration: Any) -> Any:
        if isinstance(registration, Mapping):
            return {modality: cls._known_kinds(kind) for modality, kind in registration.items()}
        kind = "off" if registration is False else registration  # what YAML makes of a bare `off`
        if kind not in REGISTRATIONS:
            raise ValueError(f"choose among {', '.join(REGISTRATIONS)}")
        return kind

    @field_validator("size")
    @classmethod
    def _fits_the_unet(cls, size: tuple[int, int]) -> tuple[int, int]:
        if any(side < 16 or side % 16 for side in size):
            raise ValueError("both sides must be multiples of 16, since the U-Net halves them four times")
        return size


class BatchSizes(Section):
    """Slices a step (paper Sec. V)."""

    pretraining: int = Field(36, ge=2)
    finetuning: dict[Ratio, int] = Field(
        default_factory=lambda: {0.05: 56, 0.1: 70},
        description="label ratio -> slices; a ratio that is not named takes the next lower one's, or the lowest (our choice)",
    )

    def at(self, ratio: float) -> int:
        """The fine-tuning batch size of a label ratio."""
        return at_ratio(self.finetuning, ratio)


def at_ratio(values: Mapping[float, int], ratio: float) -> int:
    """What a table by label ratio says for any ratio: the next lower one's value, or the lowest's."""
    below = [known for known in values if known <= ratio + 1e-9]
    return values[max(below) if below else min(values)]


class Cohort(Section):
    """One cohort: where its raw files are, what they hold, and what is made of them."""

    layout: str = Field(..., description=f"how the raw files lie: {', '.join(LAYOUTS)}")
    folder: str | None = Field(None, description="of the raw files; ~ and $VARIABLES are expanded")
    sheet: str | None = Field(None, description="the TSV of layout samplesheet; its paths count from folder, if given")
    simulate: Simulation | None = Field(None, description="write the raw files first, into data/<cohort>")
    title: str | None = Field(None, description="what tables call the cohort; default its name")
    modalities: list[Name] = Field(..., min_length=1, description="to use; the first is the reference")
    pairs: list[str] = Field(default_factory=list, description="pairs to pre-train on, such as CT-PET")
    regions: dict[Name, list[Code]] = Field(..., min_length=1, description="region -> the label codes that make it up")
    preprocessing: Preprocessing
    test: float = Field(
        0.2,
        gt=0,
        description="a share of the patients below 1, or how many (paper: 21 of HECKTOR's 201, 42 of BraTS' 210)",
    )
    subjects_per_shard: int = Field(16, ge=1, description="in one HDF5 file")
    batch_size: BatchSizes = Field(default_factory=BatchSizes)
    paper_dataset: Literal["hecktor", "brats2018"] | None = Field(
        None, description="set where the cohort IS the paper's: its printed numbers then stand beside ours"
    )

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"unknown; choose among {', '.join(LAYOUTS)}")
        return layout

    @model_validator(mode="after")
    def _consistent(self) -> "Cohort":
        if self.simulate:
            simulator = find_layout(self.layout).simulator
            if simulator is None:
                raise ValueError(f"only {' and '.join(simulated_layouts())} can be simulated")
            if self.folder or self.sheet or self.paper_dataset:
                raise ValueError("a simulated cohort has no folder, no sheet and is not the paper's: drop that key")
            strangers = set(self.simulate.spacing) - set(simulator.scanners)
            if strangers:
                raise ValueError(f"simulate.spacing: {', '.join(strangers)} is no scanner of {self.layout}")
        elif find_layout(self.layout).needs_sheet:
            if not self.sheet:
                raise ValueError(f"layout {self.layout} needs the key sheet")
        elif not self.folder or self.sheet:
            raise ValueError(f"layout {self.layout} needs the key folder (and no sheet)")
        for pair in self.pairs:
            names = pair.split("-")
            if len(names) != 2 or names[0] == names[1] or not set(names) <= set(self.modalities):
                raise ValueError(f"pairs: {pair} does not join two of {', '.join(self.modalities)} with a hyphen")
        kinds = self.preprocessing.registration
        for modality in kinds if isinstance(kinds, dict) else ():
            if modality not in self.modalities[1:]:
                others = ", ".join(self.modalities[1:]) or "none"
                raise ValueError(
                    f"preprocessing.registration: {modality} is not registered on {self.modalities[0]}, the reference; "
                    f"there are {others}"
                )
        if len(self.regions) > MAX_REGIONS:
            raise ValueError(f"regions: at most {MAX_REGIONS}")
        return self

    @property
    def registered(self) -> list[str]:
        """The modalities that are registered on the reference."""
        kinds = self.preprocessing.registration
        if isinstance(kinds, str):
            return self.modalities[1:] if kinds != "off" else []
        return [modality for modality in self.modalities[1:] if kinds.get(modality, "off") != "off"]

    @property
    def raw_folder(self) -> Path | None:
        return expand(self.folder) if self.folder else None

    @property
    def sheet_path(self) -> Path | None:
        """As the path says from the working folder, else beside the workflow."""
        if self.sheet is None:
            return None
        path = expand(self.sheet)
        return path if path.exists() else Path(__file__).parents[2] / path


class Pretraining(Section):
    """What all pre-training methods share (paper Sec. V)."""

    epochs: int = Field(200, ge=1)
    steps_per_epoch: int | None = Field(None, ge=1, description="null: one pass over the slices")
    sees: Literal["own", "both"] = Field(
        "own",
        description="what a single-modal method is shown: own: one training a modality, on its slices; both: one training on "
        "both modalities' slices. The paper does not say; own gives each method what its paper had",
    )


class Finetuning(Section):
    """Supervised fine-tuning (paper Sec. V), and training from scratch."""

    epochs: int = Field(70, ge=1)
    steps_per_epoch: Steps | dict[Ratio, Steps] | None = Field(
        None,
        description="null: one pass over the labelled slices; one number, or label ratio -> number as in batch_size",
    )
    learning_rate: float = Field(2e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    betas: tuple[float, float] = Field((0.9, 0.999), description="of Adam (its default)")
    warmup_epochs: int = Field(5, ge=0, description="of warmup-cosine-lr (its length is our choice)")
    decay: Literal["constant", "cosine"] = "cosine"
    augmentation: dict[str, Any] = Field(default_factory=dict, description="see mcd/slices/augment.py (our choice)")

    @field_validator("augmentation", mode="before")
    @classmethod
    def _typed_options(cls, augmentation: Any) -> Any:
        return _typed(augmentation)

    def steps_at(self, ratio: float) -> int | None:
        """Steps an epoch at a label ratio."""
        return at_ratio(self.steps_per_epoch, ratio) if isinstance(self.steps_per_epoch, dict) else self.steps_per_epoch


class Computing(Section):
    """Where and how networks are trained; mcd/training/schedule.py explains each key."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(1, ge=1)
    compile: bool = False
    memory_limit_gb: float = Field(8.0, ge=0)


class Translation(Section):
    """How translated images are judged (Table IV)."""

    inception: str | None = Field(
        None,
        description="TorchScript file of FID's Inception network; ~ and $VARIABLES are expanded. null: EfficientNet-Lite0",
    )

    @property
    def inception_file(self) -> Path | None:
        return expand(self.inception) if self.inception else None


class Config(Section):
    """The whole configuration."""

    cohorts: dict[Name, Cohort] = Field(..., min_length=1)
    seeds: list[int] = Field([0], min_length=1, description="each is a whole run: labels drawn, weights, batches")
    filters: int = Field(64, ge=1, description="f of Table I (our choice: 64, as the original U-Net)")
    methods: list[str] = Field(
        default_factory=lambda: ["fully_supervised", "multi_condos"],
        min_length=1,
        description="rows of Table II, in their order; `all` for the paper's fifteen",
    )
    label_ratios: list[Ratio] = Field([0.05, 0.1], min_length=1, description="of Table II")
    full_ratios: list[Ratio] = Field([0.5, 1.0], description="further ratios of the fully supervised rows of Table II")
    curve_ratios: list[Ratio] = Field([0.05, 0.1, 0.15, 0.2, 0.5], min_length=1, description="of Fig. 5 (paper)")
    sharing_ratios: list[Ratio] = Field([0.01, 0.05, 0.1, 0.5, 1.0], min_length=1, description="of Fig. 6 (paper)")
    pretraining: Pretraining = Field(default_factory=Pretraining)
    finetuning: Finetuning = Field(default_factory=Finetuning)
    translation: Translation = Field(default_factory=Translation)
    algorithms: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="algorithm -> its options, for every method that uses it"
    )
    compute: Computing = Field(default_factory=Computing)
    report: list[str] | Literal["all"] = Field(
        default_factory=lambda: ["table2", "segmentations"],
        description="tables, figures and claims to make for results/index.html, by name; `all` for everything there is",
    )
    claims: list[str] | Literal["all"] = Field(
        "all", description="tables and figures whose claims results/claims.csv tests, by name; it makes all their runs"
    )

    @field_validator("algorithms", mode="before")
    @classmethod
    def _typed_options(cls, algorithms: Any) -> Any:
        return _typed(algorithms)

    @field_validator("methods", mode="before")
    @classmethod
    def _all_methods(cls, methods: Any) -> Any:
        return list(TABLE_II) if methods == "all" else methods

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: list[str]) -> list[str]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"{method} is unknown{_nearest(method, METHODS)}; there are {', '.join(METHODS)}")
        return methods

    def pretraining_options(self, pretraining: str) -> dict[str, Any]:
        """The options of a pre-training: what the configuration sets for its algorithm, then what makes it what it is."""
        spec = PRETRAININGS[pretraining]
        return {**self.algorithms.get(spec.algorithm, {}), **spec.options}


def _typed(value: Any) -> Any:
    """The numbers in options that came as text: Snakemake's `--config` leaves what is nested as strings."""
    if isinstance(value, str):
        return yaml.safe_load(value)
    if isinstance(value, Mapping):
        return {key: _typed(inner) for key, inner in value.items()}
    return [_typed(inner) for inner in value] if isinstance(value, list) else value


def expand(path: str) -> Path:
    """A path of the configuration with ~ and $VARIABLES replaced; `McdError` when a variable is not set."""
    expanded = os.path.expanduser(os.path.expandvars(path))
    if "$" in expanded:
        raise McdError(f"configuration: {path}: the environment variable is not set; export it first")
    return Path(expanded)


def load_config(content: Mapping[str, Any], *, check_options: bool = True) -> Config:
    """Check a configuration and fill in the defaults.

    Args:
        check_options: also check the options of algorithms, which loads torch; not needed where it was done before.

    Raises:
        McdError: one line for each thing that is wrong, with the key's place, and for a misspelt key the nearest one.
    """
    try:
        config = Config.model_validate(dict(content))
    except ValidationError as error:
        raise McdError("\n".join(_explain(error))) from None
    problems = list(_check_algorithms(config)) if check_options else []
    if problems:
        raise McdError("\n".join(problems))
    return config


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"] if part != "[key]") or "the whole"
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            yield f"configuration: {place}: unknown key{_nearest(key, _all_keys())}"
        elif problem["type"] == "missing":
            yield f"configuration: {place}: is missing"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            given = problem["input"]
            shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool | list) else ""
            yield f"configuration: {place}: {message}{shown}"


def _all_keys() -> set[str]:
    return {name for section in Section.__subclasses__() for name in section.model_fields}


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _check_algorithms(config: Config) -> Iterator[str]:
    """Options of algorithms against the classes that take them: only where torch is, since those classes need it.

    A machine that only schedules has no torch; there a wrong option is found by the training job itself.
    """
    from mcd.pretraining import REGISTRY as PRETRAINING_ALGORITHMS
    from mcd.segmentation import REGISTRY as SEGMENTATION_ALGORITHMS

    known = {**PRETRAINING_ALGORITHMS, **SEGMENTATION_ALGORITHMS}
    for algorithm, options in config.algorithms.items():
        if algorithm not in known:
            yield f"configuration: algorithms.{algorithm}: unknown{_nearest(algorithm, known)}; there are {', '.join(known)}"
        elif options and importlib.util.find_spec("torch") is not None:
            yield from _check_options(f"algorithms.{algorithm}", options, find_class(known, algorithm).options_class)
    if config.finetuning.augmentation and importlib.util.find_spec("torch") is not None:
        from mcd.slices.augment import Augmentation

        yield from _check_options("finetuning.augmentation", config.finetuning.augmentation, Augmentation)


def _check_options(place: str, options: Mapping[str, Any], options_class: Any) -> Iterator[str]:
    names = [field.name for field in fields(options_class)]
    for key in options:
        if key not in names:
            yield f"configuration: {place}.{key}: unknown key{_nearest(key, names)}; there are {', '.join(names)}"
            return
    try:
        TypeAdapter(options_class).validate_python(dict(options))
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join([place, *(str(part) for part in problem["loc"])])
            yield f"configuration: {where}: {problem['msg'].removeprefix('Value error, ')} (given: {problem['input']!r})"
    except McdError as error:  # an option's own check
        yield f"configuration: {place}.{error}"
