"""Two modalities that are pre-trained together, such as CT-PET."""

from typing import Any

from mcd.errors import McdError


class Pair(str):
    """The name of a pair, `<first>-<second>`, which paths and tables show, and its two modalities.

    A pair is its name: it compares, hashes and formats as the text. The order is that of X and Y in the paper's equations.

    Raises:
        McdError: unless two different modalities are joined by one hyphen.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> "Pair":
        parts = name.split("-")
        if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
            raise McdError(f"pair {name!r}: not two different modalities joined by a hyphen; name it such as CT-PET")
        return super().__new__(cls, name)

    @classmethod
    def of(cls, first: str, second: str) -> "Pair":
        """The pair of two modalities in this order."""
        return cls(f"{first}-{second}")

    @property
    def modalities(self) -> tuple[str, str]:
        """X and Y."""
        first, second = self.split("-")
        return first, second

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field of this type is given as text. Schemas are plain dictionaries, so pairs need no pydantic elsewhere."""

        def parse(name: str) -> Pair:
            try:
                return cls(name)
            except McdError as error:
                raise ValueError(str(error)) from None

        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": parse},
            "schema": handler(str),
            "serialization": {"type": "function-plain", "function": str.__str__},
        }


def modalities_of(pair: str) -> tuple[str, ...]:
    """The modalities that a name stands for: X and Y of a pair, the one that it names, or all of a cohort.

    Raises:
        McdError: unless they are different, and joined by one hyphen.
    """
    names = pair.split("-")
    if len(names) > 2 and all(names) and len(set(names)) == len(names):
        return tuple(names)
    return Pair(pair).modalities if "-" in pair else (pair,)
