"""Checks that a method, a layout or a metric from outside must pass (docs/how_to/adding_a_baseline.md)."""

from mcd.testing.checks import check_layout, check_metric, check_pretraining, check_segmentation

__all__ = ["check_layout", "check_metric", "check_pretraining", "check_segmentation"]
