"""The options of algorithms in the configuration: one key per algorithm of the registries, each with its own options."""

from typing import Any

from pydantic import Field, create_model, model_serializer

from mcd.pretraining import registry as pretraining
from mcd.section import Section
from mcd.segmentation import registry as segmentation


class AlgorithmSections(Section):
    """Algorithm -> its options, for every method that uses it."""

    def given(self, algorithm: str) -> dict[str, Any]:
        """The options that the configuration sets, without defaults."""
        options = getattr(self, algorithm)
        return {} if options is None else options.model_dump(exclude_unset=True)

    @model_serializer
    def _given(self) -> dict[str, Any]:
        return {name: self.given(name) for name in type(self).model_fields if name in self.model_fields_set}


_CLASSES: dict[str, type[Section]] = {
    **{name: pretraining.options_class(name) for name in pretraining.REGISTRY},
    **{name: segmentation.options_class(name) for name in segmentation.REGISTRY},
}
_FIELDS: dict[str, Any] = {
    name: (options | None, Field(None, description=(options.__doc__ or "").splitlines()[0]))
    for name, options in _CLASSES.items()
}
Algorithms = create_model("Algorithms", __base__=AlgorithmSections, __doc__=AlgorithmSections.__doc__, **_FIELDS)
