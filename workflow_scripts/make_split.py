"""Draw the training and test patients, and the order in which labels are used."""

from door import log_to

with log_to(snakemake.log):
    from mcd.cohorts.index import read_index
    from mcd.slices.splits import make_split, write_split

    subjects = read_index(snakemake.input.index)
    split = make_split(
        [subject.id for subject in subjects],
        snakemake.params.test,
        cohort=snakemake.wildcards.cohort,
        seed=int(snakemake.wildcards.seed),
        fixed={subject.id: subject.split for subject in subjects if subject.split},
    )
    write_split(split, snakemake.output.split)
