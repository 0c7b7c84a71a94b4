"""A pre-training as a pack that others can start from, and back."""
