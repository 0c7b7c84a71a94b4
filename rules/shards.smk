"""Stage 2: all slices of a cohort in a few HDF5 files."""


rule write_shard:
    """Collect some preprocessed patients, all modalities of a slice together, in one HDF5 shard."""
    input:
        folders=lambda wildcards: [
            fix(SUBJECT, cohort=wildcards.cohort, subject=subject)
            for subject in shard_subjects(wildcards.cohort, wildcards.shard)
        ],
    output:
        shard=SHARD,
    log:
        log_of("write_shard", "{cohort}/{shard}"),
    benchmark:
        benchmark_of("write_shard", "{cohort}/{shard}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        subjects=lambda wildcards: shard_subjects(wildcards.cohort, wildcards.shard),
    script:
        "../workflow_scripts/write_shard.py"
