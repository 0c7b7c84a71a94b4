"""The tissues of a head and neck, and how each looks in CT and in FDG-PET."""

# Tissue: CT number in HU and its spread (SD) between patients; uptake in SUV and the SD of its logarithm. CT numbers are
# textbook values for 120 kV; uptakes are those of FDG one hour after injection, background ones as in real patients (see
# docs/explanation/simulated_cohorts.md).
CT_PET_TISSUES: dict[str, tuple[float, float, float, float]] = {
    "air": (-1000, 0, 0.02, 0.0),
    "skin": (25, 12, 0.45, 0.2),
    "fat": (-102, 6, 0.30, 0.2),
    "deep fat": (-94, 8, 0.36, 0.2),
    "muscle": (56, 5, 0.72, 0.2),
    "used muscle": (56, 5, 0.85, 0.45),  # muscles of chewing and breathing, sometimes active
    "tongue": (52, 8, 1.25, 0.3),
    "wall": (50, 7, 1.35, 0.3),  # mucosa and constrictor muscle around the airway
    "tonsil": (52, 7, 2.8, 0.35),
    "tongue base": (53, 7, 2.4, 0.35),
    "larynx": (50, 10, 1.6, 0.35),
    "parotid": (2, 24, 1.6, 0.35),
    "gland": (42, 12, 1.8, 0.3),
    "thyroid": (95, 20, 1.2, 0.35),
    "oesophagus": (38, 8, 1.2, 0.25),
    "cartilage": (130, 60, 0.8, 0.2),
    "artery": (44, 4, 1.5, 0.12),
    "vein": (44, 4, 1.5, 0.12),
    "cortical bone": (980, 120, 0.7, 0.2),
    "marrow": (260, 70, 1.15, 0.25),
    "tooth": (1900, 250, 0.7, 0.3),
    "disc": (85, 12, 0.8, 0.2),
    "fluid": (12, 4, 0.5, 0.2),
    "cord": (34, 4, 1.7, 0.2),
    "brain": (36, 2, 7.6, 0.18),
    "mucosa": (38, 10, 1.5, 0.35),
    "eye": (14, 4, 0.9, 0.2),
    "lung": (-840, 40, 0.4, 0.2),
    "node": (40, 12, 1.1, 0.35),
    "swelling": (54, 7, 0.95, 0.25),
    "brown fat": (-85, 8, 4.5, 0.4),
    "inflamed": (52, 8, 3.6, 0.35),
    "foam": (-900, 40, 0.02, 0.0),
    "table": (40, 60, 0.02, 0.0),
}
