"""Several processes that train one network together. The bottom layer: networks and trainings build on it."""
