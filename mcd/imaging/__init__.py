"""One patient's volumes: geometry, files, resampling, normalisation, and a picture to check them by."""
