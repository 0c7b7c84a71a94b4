"""Write the bounding-box CSV of a simulated HECKTOR cohort."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.hecktor2020 import write_boxes
    from mcd.simulation.head_neck.patient import bounding_box

    seed = snakemake.params.seed
    write_boxes({name: bounding_box(name, seed=seed) for name in snakemake.params.subjects}, snakemake.output.boxes)
