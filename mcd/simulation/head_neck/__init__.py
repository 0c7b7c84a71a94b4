"""Simulated heads and necks."""
