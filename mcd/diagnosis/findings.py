"""What the numbers of a diagnosis say, in words: one sentence per finding. No torch.

Each threshold is our choice; beside it stands what it goes by. A finding is a reason to look, not a verdict: whether a
pre-training helps is what the tables of scores say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from mcd.diagnosis.numbers import LAYERS, Diagnosis, Number

NO_BETTER = 0.95
"""Of the error of the best image that is the same for every slice: a translation that has more has learnt no more than what
a volume looks like on average."""

GIVEN_AWAY = 0.9
"""Share of partners that silhouettes find: nine of ten, so that L_C can become small without a look at what is inside."""

NEAR_CHANCE = 2.0
"""Times chance: features that find a partner no more often than that tell hardly anything apart."""

NO_GAIN = 0.03
"""Of AUC, at the best level: draws of random weights differ by up to 0.04 at a level, so less is no sign of knowledge."""

IDLE_L1 = 0.05
"""Relative rise of a translation's L1: a twentieth is less than what the losses of neighbouring epochs differ by."""

IDLE_DSC = 0.05
"""Of DSC: layers whose loss costs less cannot be what two methods differ by; those of Table III differ by 0.01 to 0.1."""

FORGOTTEN = 0.5
"""Cosine of fine-tuned to pre-trained weights: below it, less than a quarter of their square points where it did."""

ALIKE = 0.1
"""Of the largest loss term: Sec. V has the weights so that terms do not differ by orders of magnitude."""

TERM_NAMES = {"adversarial": "L_GAN", "translation": "L_T", "reconstruction": "L_R", "contrastive": "L_C"}
"""The losses of Eq. 7, by their columns in `losses.csv` and their weights in `DSGANOptions`."""


@dataclass(frozen=True)
class Finding:
    """A sentence, and the test (`Number.test`) that it is about."""

    test: str
    words: str


def findings(diagnosis: Diagnosis) -> list[Finding]:
    """Everything that the thresholds of this module call remarkable; nothing if nothing is."""
    tests = {
        "translation": _translation,
        "retrieval": _retrieval,
        "probe": _probe,
        "knock_out": _knock_out,
        "moved": _moved,
        "loss": _loss,
    }
    return [Finding(test, words) for test, function in tests.items() for words in function(diagnosis)]


def best_constant(diagnosis: Diagnosis, modality: str) -> float:
    """The lower error of the two images that are the same for every slice."""
    constant = [*diagnosis.of("translation", "l1_zero"), *diagnosis.of("translation", "l1_mean")]
    return min(number.value for number in constant if number.modality == modality)


def gains(diagnosis: Diagnosis) -> dict[tuple[str, str], float]:
    """(modality, layer) -> AUC of the pre-trained less that of random weights, mean over regions."""
    random = {
        (number.modality, number.region, number.layers): number.value for number in diagnosis.of("probe", "random")
    }
    differences: dict[tuple[str, str], list[float]] = {}
    for number in diagnosis.of("probe", "pretrained"):
        gain = number.value - random[number.modality, number.region, number.layers]
        differences.setdefault((number.modality, number.layers), []).append(gain)
    return {key: fmean(values) for key, values in differences.items()}


def rises(diagnosis: Diagnosis) -> list[tuple[Number, float]]:
    """Each knocked-out translation, with the relative rise of its error."""
    whole = {number.modality: number.value for number in diagnosis.of("translation", "l1")}
    return [
        (number, number.value / whole[number.modality] - 1)
        for number in diagnosis.of("knock_out", "l1_without")
        if whole[number.modality]
    ]


def costs(diagnosis: Diagnosis) -> list[tuple[Number, float]]:
    """DSC of each fine-tuned network, with what it loses when it is knocked out."""
    without = {_fine_tuning(number): number.value for number in diagnosis.of("knock_out", "DSC_without")}
    return [(number, number.value - without[_fine_tuning(number)]) for number in diagnosis.of("knock_out", "DSC")]


def shares(diagnosis: Diagnosis) -> dict[str, float]:
    """Loss -> its term of the sum, relative to the largest; of a DSGAN that has several."""
    terms = {number.measure: number.value for number in diagnosis.of("loss") if number.measure in TERM_NAMES}
    largest = max(terms.values(), default=0.0)
    return {name: value / largest for name, value in terms.items()} if largest > 0 else {}


def _translation(diagnosis: Diagnosis) -> Iterator[str]:
    for number in diagnosis.of("translation", "l1"):
        constant = best_constant(diagnosis, number.modality)
        if number.value > NO_BETTER * constant:
            yield (
                f"The translation to {number.modality} is idle: its L1 error is {number.value:.3f}, and that of an image that "
                f"is the same for every slice {constant:.3f}."
            )


def _retrieval(diagnosis: Diagnosis) -> Iterator[str]:
    values = {number.measure: number.value for number in diagnosis.of("retrieval")}
    if not values:
        return
    if values["silhouettes"] >= GIVEN_AWAY and diagnosis.of("loss", "contrastive"):
        yield (
            f"L_C can be idle: silhouettes alone find {_percent(values['silhouettes'])} of the partners, so its task can be "
            "solved without a look at what is inside; try `shift`."
        )
    if values["features"] < NEAR_CHANCE * values["chance"]:
        yield (
            f"The features that L_C compares are idle: they find {_percent(values['features'])} of the partners, and chance "
            f"{_percent(values['chance'])}."
        )


def _probe(diagnosis: Diagnosis) -> Iterator[str]:
    found = gains(diagnosis)
    for modality in dict.fromkeys(modality for modality, _ in found):
        layer, gain = max(
            ((layer, gain) for (of, layer), gain in found.items() if of == modality), key=lambda one: one[1]
        )
        if gain < NO_GAIN:
            yield (
                f"The encoder of {modality} is idle: nowhere does a linear probe find the regions better than in random "
                f"weights (best: {layer}, {gain:+.3f} of AUC)."
            )


def _knock_out(diagnosis: Diagnosis) -> Iterator[str]:
    for number, rise in rises(diagnosis):
        if rise < IDLE_L1:
            yield (
                f"The {number.layers} are idle in the translation to {number.modality}: without what they hand on, its L1 "
                f"error changes by {100 * rise:+.1f} %."
            )
    for number, cost in costs(diagnosis):
        name = _network(number)
        if number.value < 2 * IDLE_DSC:
            yield f"Of the {number.layers} nothing can be said in {name}: it finds next to nothing (DSC {number.value:.3f})."
        elif cost < IDLE_DSC:
            yield (
                f"The {number.layers} are idle in {name}: without what they hand on, DSC changes from {number.value:.3f} to "
                f"{number.value - cost:.3f}."
            )


def _moved(diagnosis: Diagnosis) -> Iterator[str]:
    ratios = {(_fine_tuning(number), number.layers): number.value for number in diagnosis.of("moved", "norm_ratio")}
    lost: dict[tuple[str, str, float | None], list[Number]] = {}
    for number in diagnosis.of("moved", "cosine"):
        if number.value < FORGOTTEN:
            lost.setdefault(_fine_tuning(number), []).append(number)
    for run, numbers in lost.items():
        numbers.sort(key=lambda number: LAYERS.index(number.layers))
        layers = ", ".join(
            f"{number.layers} ({number.value:.2f}, {_percent(ratios[run, number.layers])} of the norm)"
            for number in numbers
        )
        yield f"What {_network(numbers[0])} was given is idle: fine-tuning kept little of {layers}, by cosine."


def _loss(diagnosis: Diagnosis) -> Iterator[str]:
    found = shares(diagnosis)
    terms = {number.measure: number.value for number in diagnosis.of("loss")}
    for name, share in found.items():
        if share < ALIKE:
            largest = max(found, key=lambda other: found[other])
            yield (
                f"{TERM_NAMES[name]} is nearly idle in the sum: its term is {terms[name]:.3f}, and that of "
                f"{TERM_NAMES[largest]} {terms[largest]:.3f}."
            )


def _fine_tuning(number: Number) -> tuple[str, str, float | None]:
    return number.modality, number.method, number.label_ratio


def _network(number: Number) -> str:
    return f"the network of {number.modality} at {_percent(number.label_ratio or 0)} of the labels"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
