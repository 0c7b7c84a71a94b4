"""A brain with a glioma in four MR sequences: the healthy brain (`anatomy`), the tumour (`glioma`), tissues in a scanner
(`mr_signal`), and the patient made of them (`drawing`).
"""
