"""Simulated patients in the layouts of BraTS 2018 (`brain`) and HECKTOR 2020 (`head_neck`): a first run without data.

Every number that comes from them is to be labelled "simulated". `fields` holds what both share.
"""
