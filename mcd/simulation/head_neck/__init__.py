"""A head and neck with a tumour of the oropharynx in CT and PET: what is drawn before any image (`patient`), the anatomy
(`shapes`, `tissues`, `anatomy`), how it is painted (`canvas`), and the images (`drawing`).
"""
