"""Simulated patients, for a first run without data: a brain with a glioma (`brain`), a head and neck with a primary
tumour (`head_neck`). `fields` has what both share.

This package simulates tissues and scanners, not files: `mcd.cohorts.simulated` writes patients in an official layout. Every
number that comes from them must be labelled "simulated".
"""
