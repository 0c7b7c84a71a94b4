"""Every option is a field of a section, with its range, its default and where the default comes from.

The configuration, the command line and the library use the same classes, and none of them needs torch or an image library.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from mcd.errors import McdError


class Section(BaseModel):
    """A named group of options. Numbers that come as text, such as `1e-3` in YAML 1.1, are read as numbers.

    Raises:
        pydantic.ValidationError: for an unknown key or an impossible value; `read` raises one line per mistake instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_as_text(cls, given: Any) -> Any:
        """Snakemake's `--config` passes nested values as text, including null."""
        if not isinstance(given, Mapping):
            return given
        optional = {name for name, field in cls.model_fields.items() if field.default is None}
        return {key: None if key in optional and value in ("null", "~") else value for key, value in given.items()}

    @classmethod
    def read(cls, values: Mapping[str, Any], place: str) -> Self:
        """The section with these values.

        Raises:
            McdError: one line per mistake: place and key, the reason, and for a misspelt key the most similar known one.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise McdError("\n".join(explain(error, place))) from None


def explain(error: ValidationError, place: str) -> Iterator[str]:
    """One line for each key that pydantic refused; keys are relative to `place`."""
    problems: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for problem in error.errors():
        keys = tuple(str(part) for part in problem["loc"] if not _is_alternative(part))
        problems.setdefault(keys, []).append(problem)
    for keys, found in problems.items():
        inner = any(other[: len(keys)] == keys for other in problems if other != keys)
        if not (inner and all(map(_another_type, found))):
            yield f"{place}: {'.'.join(keys)}: {_reason(found)}" if keys else f"{place}: {_reason(found)}"


def _another_type(problem: ErrorDetails) -> bool:
    """Whether the problem is only that the value is not of this one of a key's several types."""
    wrong = problem["type"] == "literal_error" and not isinstance(problem["input"], str | int | float)
    return wrong or problem["type"].endswith("_type")


def _reason(problems: list[ErrorDetails]) -> str:
    """Why a value is refused."""
    problem = next((one for one in problems if not _another_type(one)), problems[0])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        return f"unknown key{nearest(key, all_keys() - {key})}"
    if problem["type"] == "missing":
        return "is missing"
    given = problem["input"]
    if problem["type"] == "too_short" and not given:
        return "is empty; give at least one, or leave the key out"
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool | list | tuple) else ""
    return problem["msg"].removeprefix("Value error, ") + shown


def _is_alternative(part: int | str) -> bool:
    """Whether pydantic added this part to a key's place: the alternative of a union, or a dictionary's key."""
    names = ("[key]", "str", "int", "float", "bool")
    prefixes = ("constrained-", "function-", "literal[", "dict[", "list[", "tuple[")
    return isinstance(part, str) and (part in names or part.startswith(prefixes))


def all_keys() -> set[str]:
    """The keys of all sections."""

    def below(section: type[Section]) -> Iterator[type[Section]]:
        for child in section.__subclasses__():
            yield child
            yield from below(child)

    return {name for section in below(Section) for name in section.model_fields}


def nearest(name: str, known: Any) -> str:
    """A hint at the known name most similar to an unknown one; empty if none is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the smallest comes first, then the largest")
    return bounds


def _number(given: Any) -> Any:
    """Refuse a boolean, which Python would accept as a number."""
    if isinstance(given, bool):
        raise ValueError("is a boolean; give a number")
    return given


def _whole(given: Any) -> Any:
    """Accept `1e2`, which is text in YAML 1.1 and not an integer in Python."""
    _number(given)
    try:
        number = float(given) if isinstance(given, str) and "e" in given.lower() else given
    except ValueError:
        return given
    return int(number) if isinstance(number, float) and number.is_integer() else number


# In `Annotated` they follow the range: pydantic omits a range that comes after them from the JSON schema.
NUMBER = BeforeValidator(_number)
WHOLE = BeforeValidator(_whole)

Number = Annotated[float, NUMBER]
Positive = Annotated[float, Field(gt=0), NUMBER]
Weight = Annotated[float, Field(ge=0), NUMBER]
Share = Annotated[float, Field(ge=0, le=1), NUMBER]
PositiveShare = Annotated[float, Field(gt=0, le=1), NUMBER]
Probability = Annotated[float, Field(gt=0, lt=1), NUMBER]
"""Neither impossible nor certain."""
Whole = Annotated[int, WHOLE]
Count = Annotated[int, Field(ge=1), WHOLE]
ShareRange = Annotated[tuple[PositiveShare, PositiveShare], AfterValidator(_rising)]
"""Smallest and largest share."""
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
"""Smallest and largest of positive numbers."""
CountRange = Annotated[tuple[Count, Count], AfterValidator(_rising)]
"""Smallest and largest count."""
