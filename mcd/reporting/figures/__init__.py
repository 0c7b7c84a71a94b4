"""The figures of the paper and of predictions, in one style."""
