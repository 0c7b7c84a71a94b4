"""Options of what is done to slices on their way to a network."""

from pydantic import Field

from mcd.section import Number, Section, Share, Weight


class Augmentation(Section):
    """How far fine-tuning may change a slice; 0 (or false) switches a change off. All values are our choice."""

    mirror: bool = Field(True, description="left-right mirror image in half of the cases: heads are nearly symmetric")
    rotation: Number = Field(10.0, ge=0, le=180, description="largest rotation, degrees: patients lie this much askew")
    scale: Number = Field(0.1, ge=0, lt=1, description="largest relative change of size")
    shift: Share = Field(0.05, description="largest shift, as a share of the slice")
    intensity: Weight = Field(0.1, description="sd of the factor around 1 and of the offset around 0, in z-scores")
