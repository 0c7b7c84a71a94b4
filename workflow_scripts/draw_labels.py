"""Draw the order in which labels are used again, for a further draw of a seed."""

from door import log_to

with log_to(snakemake.log):
    from mcd.slices.splits import draw_labels, read_split, write_split

    cohort, seed, draw = snakemake.params.draw
    write_split(draw_labels(read_split(snakemake.input.split), cohort, seed, draw), snakemake.output.split)
