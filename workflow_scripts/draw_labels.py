"""Draw the order in which labels are used again, for a further draw of a seed."""

from door import log_to

with log_to(snakemake.log):
    from mcd.slices.splits import draw_labels, read_split, write_split

    split = read_split(snakemake.input.split)
    write_split(draw_labels(split, *snakemake.params.draw), snakemake.output.split)
