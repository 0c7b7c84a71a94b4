"""Write one simulated head-and-neck patient in the layout of HECKTOR 2020."""

from door import log_to

with log_to(snakemake.log):
    from mcd.simulation.write import write_head_neck

    write_head_neck(dict(snakemake.output), snakemake.wildcards.subject, **snakemake.params.simulation)
