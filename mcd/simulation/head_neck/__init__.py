"""A head and neck with a tumour of the oropharynx in CT and PET: what is decided before any image (`patient`), the bodies
(`shapes`, `tissues`, `anatomy`), how they are painted (`canvas`), and the images (`drawing`).
"""
