"""What raw cohorts look like on disk: one module a layout, all with `subjects(folder, modalities)`."""

from types import ModuleType

from mcd.cohorts import brats2018, hecktor2020, samplesheet

LAYOUTS: dict[str, ModuleType] = {"brats2018": brats2018, "hecktor2020": hecktor2020, "samplesheet": samplesheet}
