"""Draw the training, validation and test patients, and the order in which labels are used."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.index import read_index
    from mcd.slices.splits import Origin, make_split, write_split

    params = snakemake.params
    subjects = read_index(snakemake.input.index)
    origin = Origin.of(params.cohort, subjects=subjects, **params.parts)
    write_split(make_split(origin, params.seed, params.fold), snakemake.output.split)
