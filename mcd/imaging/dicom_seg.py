"""A segmentation as a DICOM SEG object, which a viewer opens beside the series that it was made on.

Needs highdicom (the extra `mcd[dicom]`). The object names the patient and the study, as the standard asks: it is the one
output that takes anything from a header.
"""

import importlib.util
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

import mcd
from mcd.errors import McdError, first_line
from mcd.files import atomic_path
from mcd.imaging.dicom import series_files

_ABNORMAL, _ANATOMY, _TISSUE = "MorphologicallyAbnormalStructure", "AnatomicalStructure", "Tissue"
SEGMENT_CODES = (  # of the standard's context groups CID 7150 (categories), 7159 (lesions) and 7160 (pelvis)
    (r"\bnon ?enhanc|\bnet\b", _ABNORMAL, "NCIt", "NonEnhancingLesion"),
    (r"enhanc|\bet\b", _ABNORMAL, "NCIt", "EnhancingLesion"),
    (r"o?edema|\bed\b", _ABNORMAL, "SCT", "Edema"),
    (r"necro|\bncr\b", _ABNORMAL, "SCT", "Necrosis"),
    (r"metasta|\bgtv ?n", _ABNORMAL, "SCT", "NeoplasmSecondary"),
    (r"primary|\bgtv ?[pt]", _ABNORMAL, "SCT", "NeoplasmPrimary"),
    (r"tumou?r|neoplasm|cancer|carcinoma|sarcoma|glioma|\bgtv|\bwt\b|\btc\b", _ABNORMAL, "SCT", "Neoplasm"),
    (r"ha?emorrhag", _ABNORMAL, "SCT", "Hemorrhage"),
    (r"\bcyst", _ABNORMAL, "SCT", "Cyst"),
    (r"lesion", _ABNORMAL, "SCT", "Lesion"),
    (r"\bperipheral zone|\bpz\b", _ANATOMY, "SCT", "PeripheralZoneOfTheProstate"),
    (r"\btransition(al)? zone|\btz\b", _ANATOMY, "SCT", "TransitionZoneOfTheProstate"),
    (r"\bprostate", _ANATOMY, "SCT", "Prostate"),
    (r"", _TISSUE, "SCT", "Tissue"),  # the name says nothing that is known, and nothing is claimed
)
"""What a name says -> category, and scheme and keyword of the type; the first that fits counts."""


def segment_codes(region: str) -> tuple[str, str, str]:
    """What a region is called by the words and abbreviations in its name: category, and scheme and keyword of the type.

    Keywords are pydicom's. Categories and types are of SNOMED CT (SCT), except for enhancement, which the standard takes
    from the NCI Thesaurus (NCIt).
    """
    words = re.sub(r"[\W_]+", " ", region.lower())
    return next(
        (category, scheme, word) for pattern, category, scheme, word in SEGMENT_CODES if re.search(pattern, words)
    )


def can_write_seg() -> bool:
    """Whether highdicom is installed."""
    return importlib.util.find_spec("highdicom") is not None


def write_seg(
    masks: Mapping[str, np.ndarray], series: str | Path, path: str | Path, description: str, colours: Sequence[str]
) -> None:
    """Write boolean masks (z, y, x) on the grid of a DICOM series as one binary SEG, one segment per region, in their order.

    Args:
        series: the folder, or the slice, that `mcd.imaging.io.read_volume` read the image from.
        description: of the series, for the viewer's list; at most 64 characters are kept.
        colours: `#rrggbb` of the segments, in turn, for the viewer.

    Raises:
        McdError: where highdicom is not installed, or the series lacks what a SEG has to refer to.
    """
    try:
        import highdicom
        import pydicom
        from pydicom.sr.codedict import codes
    except ImportError:
        raise McdError("a DICOM SEG needs highdicom; pip install 'mcd[dicom]'") from None
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote the header
    sources = [pydicom.dcmread(file, stop_before_pixels=True) for file in series_files(series)]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="Multi-ConDoS", version=mcd.__version__, family=codes.cid7162.ArtificialIntelligence
    )
    segments = []
    for number, (region, colour) in enumerate(zip(masks, cycle(colours), strict=False), start=1):
        category, scheme, word = segment_codes(region)
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
        segments.append(
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=region,
                segmented_property_category=getattr(codes.SCT, category),
                segmented_property_type=getattr(getattr(codes, scheme), word),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                display_color=highdicom.color.CIELabColor.from_rgb(red, green, blue),
            )
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # likewise
            segmentation = highdicom.seg.Segmentation(
                source_images=sources,
                pixel_array=np.stack(list(masks.values()), axis=-1).astype(np.uint8),
                segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=segments,
                series_instance_uid=highdicom.UID(),
                series_number=1000,  # our choice: after the scanner's own series in a viewer's list
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer="Multi-ConDoS",
                manufacturer_model_name="mcd",
                software_versions=mcd.__version__,
                device_serial_number="0",
                series_description=description[:64],
                omit_empty_frames=any(mask.any() for mask in masks.values()),
            )
    except (AttributeError, KeyError, ValueError, TypeError) as error:  # highdicom's own checks of the source series
        raise McdError(
            f"{series}: no DICOM SEG can refer to it ({first_line(error)}); export the series again, or do without (--no-seg)"
        ) from None
    with atomic_path(path, images=True) as temporary:
        segmentation.save_as(temporary)
