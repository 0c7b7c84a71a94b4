"""Simulated patients, for a first run without data: a brain with a glioma (`brain`), a head and neck with a primary
tumour (`head_neck`). `fields` holds what both are made of.

This room knows tissues and scanners, not files: `mcd.cohorts.simulated` writes patients in an official layout. Every number
that comes from them is to be labelled "simulated".
"""
