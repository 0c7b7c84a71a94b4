"""How good a result is: overlap, surfaces and statistics on NumPy arrays and data frames (no torch)."""
