"""One patient's volumes: geometry, files, resampling, normalisation, and a picture to check them by."""

BODY_HU = -500.0
"""Above this a voxel of a CT is body: half-way between air (-1000 HU) and water (0 HU), our choice."""
