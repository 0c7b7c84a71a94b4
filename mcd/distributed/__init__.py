"""Several processes that train one network together. The bottom layer: networks and training build on it."""
