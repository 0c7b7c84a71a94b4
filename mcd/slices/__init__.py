"""Many slices: the HDF5 shard format, the patients' split, and batches for training."""
