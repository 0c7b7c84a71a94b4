"""A brain with a glioma in four MR sequences: the healthy brain (`anatomy`), the tumour (`glioma`), MR signals of tissues
(`mr_signal`), and the patient's images (`drawing`).
"""
