"""Write one simulated brain patient in the layout of BraTS 2018."""

from door import log_to

with log_to(snakemake.log):
    from mcd.simulation.write import write_brain

    write_brain(dict(snakemake.output), snakemake.wildcards.subject, **snakemake.params.simulation)
