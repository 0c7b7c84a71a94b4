"""What the configuration decides about a cohort's volumes. No image library: it is checked before anything runs."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from mcd.imaging import BODY_HU
from mcd.section import NUMBER, WHOLE, Count, Number, Positive, Section

Interpolation = Literal["nearest", "linear", "bspline"]
Rule = Literal["nonzero", "body", "all"]
Registration = Literal["off", "rigid", "affine"]
Code = Annotated[int, Field(ge=1, le=255), WHOLE]
Percent = Annotated[float, Field(ge=0, le=100), NUMBER]


def plain_name(name: str) -> str:
    """The name of a segment or region of interest as names are compared."""
    return name.strip().casefold()


class PreprocessOptions(Section):
    """From raw volumes to the common grid (paper Sec. V, "Pre-processing")."""

    # paper Sec. V: 144 x 144 (HECKTOR), 160 x 160 (BraTS)
    size: tuple[Count, Count] = Field(
        ...,
        description=(
            "in-plane (x, y) voxels of the crop; multiples of 16, which the U-Net halves four times "
            "(paper: 144 x 144 (HECKTOR), 160 x 160 (BraTS))"
        ),
    )
    spacing: tuple[Positive, Positive, Positive] = Field(
        (1.0, 1.0, 1.0), description="(x, y, z) mm of the common grid (paper)"
    )
    interpolation: Interpolation = Field(
        "nearest", description="of images: `nearest`, `linear`, `bspline`. Labels and masks are always nearest (paper)"
    )
    statistics_region: Rule | Annotated[dict[str, Rule], Field(min_length=1)] = Field(
        "nonzero",
        description=(
            "which voxels count for percentiles, mean and sd, outside of which the value is 0: "
            "`nonzero`, `body`, `all`; one rule, or one per modality. A patient's mask takes "
            'precedence (paper. `body` is our choice for CT: 0 HU is tissue, and "non-zero" would '
            "punch holes into it)"
        ),
    )
    not_finite: Literal["refuse", "outside"] = Field(
        "refuse",
        description=(
            "voxels of an image or mask that are NaN or infinite: `refuse` the file, or take them as `outside` the image, "
            "which some programs mark so (our choice: who does not know of such voxels should hear of them)"
        ),
    )
    percentiles: tuple[Percent, Percent] = Field(
        (1.0, 99.0), description='clipping bounds over that region (paper ("clip the value into the range [1, 99]"))'
    )
    centre: Literal["region", "image"] = Field(
        "region",
        description=(
            "of the crop in-plane: of the reference's `region` or of the `image`. A HECKTOR box takes "
            "precedence (our choice: the paper does not say where the crop lies, and a brain need not "
            "lie in the middle of its image)"
        ),
    )
    body_threshold: Number = Field(
        BODY_HU, description="HU above which a voxel is body (our choice: half-way between air (-1000) and water (0))"
    )
    registration: Registration | Annotated[dict[str, Registration], Field(min_length=1)] = Field(
        "off",
        description=(
            "of the other modalities onto the reference: `off`, `rigid`, or `affine` for rigid and "
            "then affine; one kind, or one per modality, such as `{PET: rigid}` (paper: both cohorts "
            "are registered already)"
        ),
    )

    label_names: dict[str, Code] = Field(
        default_factory=dict,
        description=(
            "of labels that are DICOM SEG or RTSTRUCT: what a segment or region of interest is called, in whatever case -> the "
            "code that it gets, such as `{GTV: 1, gtv-1: 1, Lung_L: 2}`; others are background. Without it the codes are the "
            "numbers in the file, which a clinic may count anew for each patient (our choice)"
        ),
    )

    @model_serializer(mode="wrap")
    def _without_names_that_are_not_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Parameters of rules and records of cohorts without such labels are what they were before the key."""
        found: dict[str, Any] = handler(self)
        return found if self.label_names else {key: value for key, value in found.items() if key != "label_names"}

    @model_validator(mode="after")
    def _each_name_has_one_code(self) -> Self:
        codes: dict[str, int] = {}
        for name, code in self.label_names.items():
            if codes.setdefault(plain_name(name), code) != code:
                raise ValueError(f"label_names: {name!r} appears with several codes, in whatever case; keep one")
        return self

    @field_validator("registration", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, registration: Any) -> Any:
        """YAML 1.1 makes a boolean of a bare `off`."""
        if isinstance(registration, Mapping):
            return {modality: cls._off_is_no_boolean(kind) for modality, kind in registration.items()}
        return "off" if registration is False else registration

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        low, high = self.percentiles
        if low >= high:
            raise ValueError(f"percentiles: {low:g} is not below {high:g}; the paper has [1, 99]")
        return self

    def rule(self, modality: str) -> Rule:
        """The rule of a modality's region; one that a dictionary leaves out has the paper's, "nonzero"."""
        rules = self.statistics_region
        return rules if isinstance(rules, str) else rules.get(modality, "nonzero")

    def registration_of(self, modality: str) -> Registration:
        """How a modality other than the reference is registered; one that a dictionary leaves out is not."""
        kinds = self.registration
        return kinds if isinstance(kinds, str) else kinds.get(modality, "off")

    def check_modalities(self, modalities: list[str]) -> None:
        """Raise ValueError for a modality that is not there, or that is to be registered onto itself."""
        rules = self.statistics_region
        for modality in rules if isinstance(rules, dict) else ():
            if modality not in modalities:
                raise ValueError(f"statistics_region: no modality {modality!r}; there are {', '.join(modalities)}")
        kinds = self.registration
        for modality in kinds if isinstance(kinds, dict) else ():
            if modality not in modalities[1:]:
                others = ", ".join(modalities[1:]) or "none"
                raise ValueError(
                    f"registration: {modality} is not registered on {modalities[0]}, the reference; there are {others}"
                )
