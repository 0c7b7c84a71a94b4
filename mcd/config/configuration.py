"""The whole configuration."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from mcd.config.algorithms import Algorithms, AlgorithmSections
from mcd.config.cohort import Cohort, Name, Ratio, unique
from mcd.config.training import Finetuning, PretrainingLength, TranslationScores
from mcd.methods import ALL, METHODS, PRETRAININGS, needs_pair, needs_three
from mcd.pretraining import registry as pretraining
from mcd.section import WHOLE, Count, Section, nearest
from mcd.training.schedule import Compute, check_warmup

Ratios = Annotated[list[Ratio], AfterValidator(unique)]
Seed = Annotated[int, Field(ge=0), WHOLE]


class Config(Section):
    """The whole configuration."""

    cohorts: dict[Name, Cohort] = Field(..., min_length=1, description="name -> cohort; letters, digits and `_`")
    seeds: Annotated[list[Seed], AfterValidator(unique)] = Field(
        [0],
        min_length=1,
        description=(
            "each is a complete run with its own labelled patients, weights and batches. Tables average over them; with "
            "one, no method is said to be better than another (our choice: the paper names none)"
        ),
    )
    label_draws: Count = Field(
        1,
        description=(
            "how often the labelled patients of each seed are drawn, all on its one pre-training, which sees no label: "
            "S seeds and D draws are S pre-trainings, and S times D fine-tunings a row and column (our choice: one, for the "
            "paper has nothing of it; more say how much depends on whose labels there are)"
        ),
    )
    filters: Count = Field(
        64,
        description=(
            "f of Table I, for every network of a run (our choice: gives the 31.0 million parameters "
            "of the original U-Net)"
        ),
    )
    methods: Annotated[list[str], AfterValidator(unique)] = Field(
        default_factory=lambda: ["fully_supervised", "multi_condos"],
        min_length=1,
        description=(
            "rows of Table II, in their order: keys of `mcd/methods.py:METHODS`, or `all` for the paper's fifteen. Baselines "
            "beyond the paper are rows of `table_beyond` instead; `all+` is the paper's and all of these, including those of "
            "installed packages"
        ),
    )
    label_ratios: Ratios = Field(
        [0.05, 0.1], min_length=1, description="shares of the training patients whose labels every method uses (paper)"
    )
    full_ratios: Ratios = Field([0.5, 1.0], description="further ratios, of Fully Supervised alone (paper)")
    curve_ratios: Ratios = Field(
        [0.05, 0.1, 0.15, 0.2, 0.5], min_length=1, description="label ratios of Fig. 5, for every method (paper)"
    )
    sharing_ratios: Ratios = Field(
        [0.01, 0.05, 0.1, 0.5, 1.0], min_length=1, description="label ratios of Fig. 6 (paper)"
    )
    pretraining: PretrainingLength = Field(default_factory=PretrainingLength)
    finetuning: Finetuning = Field(default_factory=Finetuning)
    translation: TranslationScores = Field(default_factory=TranslationScores)
    algorithms: Algorithms = Field(default_factory=Algorithms, description=AlgorithmSections.__doc__)
    compute: Compute = Field(default_factory=Compute)
    file_access: Literal["private", "group", "umask"] = Field(
        "private",
        description=(
            "who may read what holds or shows patients' images (preprocessed volumes, shards, predictions, pictures, the "
            "page): `private` the user alone, `group` also the user's group, `umask` whoever may read the user's other "
            "files. The umask may forbid more (our choice: patients are nobody else's business)"
        ),
    )
    report: list[str] | Literal["all"] | None = Field(
        None,
        description=(
            "what `results/index.html` shows besides the patients: names of results such as `table2`, "
            "`table9`, `fig5`, `segmentations`, `diagnosis`, or `all`. Table IX covers the pre-trainings of what "
            "is named, and Table II's. Everything shown is computed, so `all` runs every ablation and "
            "every figure. Null: `segmentations` and the tables that have a row for one of `methods`, that is `table2`, "
            "and `table_beyond` for baselines beyond the paper (our choice: what these runs give)"
        ),
    )
    claims: list[str] | Literal["all"] | None = Field(
        None,
        description=(
            "tables and figures whose claims `results/claims.csv` tests, by name (`table2` to "
            "`table9`, `table_fusion`, `fig5` to `fig8`), or `all`. All their runs are trained, shared with the tables; "
            "claims about others are tested as far as the same runs allow, so `[table2]` also covers "
            "Tables VI and VII. Null: Table II and what `report` names. Shown on the page if `report` names `claims` "
            "(our choice: what is trained anyway; `all` takes every ablation and every figure)"
        ),
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _all_methods(cls, methods: Any) -> Any:
        return ALL.get(methods, methods) if isinstance(methods, str) else methods

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: list[str]) -> list[str]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"{method} is unknown{nearest(method, METHODS)}; there are {', '.join(METHODS)}")
        return methods

    @model_validator(mode="after")
    def _ratios_can_be_told_apart(self) -> Self:
        """Files keep a ratio to six digits."""
        shown: dict[float, float] = {}
        for key in ("label_ratios", "full_ratios", "curve_ratios", "sharing_ratios"):
            for ratio in getattr(self, key):
                other = shown.setdefault(round(ratio, 6), ratio)
                if other != ratio:
                    raise ValueError(
                        f"{key}: {ratio} is too close to {other} to be told apart in tables; use one of them"
                    )
        return self

    @model_validator(mode="after")
    def _somebody_has_the_modalities(self) -> Self:
        named = (
            "methods" in self.model_fields_set and self.methods not in ALL.values()
        )  # of `all`, those that can be had
        paired = any(cohort.pairs for cohort in self.cohorts.values())
        three = any(len(cohort.modalities) > 2 for cohort in self.cohorts.values())
        for method in self.methods if named else ():
            if needs_pair(method) and not paired:
                raise ValueError(
                    f"methods: {method} pre-trains on a pair, and no cohort has one; leave it out, or set pairs"
                )
            if needs_three(method) and not three:
                raise ValueError(
                    f"methods: {method} pre-trains on more than two modalities at once, and no cohort has as many; leave it "
                    "out, or add modalities"
                )
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        for algorithm in self.algorithms.model_fields_set & pretraining.REGISTRY.keys():
            options = getattr(self.algorithms, algorithm)
            if options is None:  # a key without a value: the defaults
                continue
            try:
                check_warmup(options.warmup_epochs, self.pretraining.epochs)
            except ValueError as error:
                raise ValueError(f"algorithms.{algorithm}.{error}") from None
        for method in self.methods:
            if name := METHODS[method].pretraining:
                self.check_pretraining(name)
        return self

    def check_pretraining(self, name: str) -> None:
        """Raise ValueError if the configured options, together with a pre-training's own, leave it without a loss."""
        algorithm = PRETRAININGS[name].algorithm
        try:
            pretraining.options_class(algorithm).model_validate(self.pretraining_options(name))
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"algorithms.{algorithm}: as {name} is defined, {why}") from None

    def pretraining_options(self, name: str) -> dict[str, Any]:
        """The options of a pre-training: what the configuration sets for its algorithm, then those that define it."""
        spec = PRETRAININGS[name]
        return {**self.algorithms.given(spec.algorithm), **spec.options}
