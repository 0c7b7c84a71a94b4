"""Losses and example images of trainings, to the tracker of experiments that the user likes."""
