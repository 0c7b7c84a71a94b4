"""A segmentation as a DICOM SEG object, which a viewer opens beside the series that it was made on.

Needs highdicom (the extra `mcd[dicom]`). The object names the patient and the study, as the standard asks: it is the one
output that takes anything from a header.
"""

import importlib.util
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import mcd
from mcd.errors import McdError, first_line
from mcd.files import atomic_path
from mcd.imaging.dicom import series_files


def can_write_seg() -> bool:
    """Whether highdicom is installed."""
    return importlib.util.find_spec("highdicom") is not None


def write_seg(masks: Mapping[str, np.ndarray], series: str | Path, path: str | Path, description: str) -> None:
    """Write boolean masks (z, y, x) on the grid of a DICOM series as one binary SEG, one segment per region, in their order.

    Args:
        series: the folder, or the slice, that `mcd.imaging.io.read_volume` read the image from.
        description: of the series, for the viewer's list; at most 64 characters are kept.

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
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=region,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, region in enumerate(masks, start=1)
    ]
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
        raise McdError(f"{series}: no DICOM SEG can refer to it ({first_line(error)})") from None
    with atomic_path(path, images=True) as temporary:
        segmentation.save_as(temporary)
