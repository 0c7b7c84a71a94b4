"""Stage 0: raw files, and the index that lists them."""

for layout in sorted(set(SIMULATED.values())):

    rule simulate_patient:
        """Write the raw files of one simulated patient, as the layout would store them."""
        name:
            f"simulate_{layout}"
        output:
            **patient_files(layout, DATA, "{subject}"),
        log:
            log_of("simulate_patient", "{cohort}/{subject}"),
        benchmark:
            benchmark_of("simulate_patient", "{cohort}/{subject}")
        wildcard_constraints:
            cohort=alternatives(cohort for cohort in SIMULATED if SIMULATED[cohort] == layout),
        conda:
            "../envs/simulation.yaml"
        resources:
            mem_mb=growing(4000),
            runtime=20,
        params:
            layout=layout,
            simulation=simulation,
        script:
            "../workflow_scripts/simulate_patient.py"


rule write_cohort_file:
    """Write a file of a simulated cohort as a whole, such as HECKTOR's CSV of boxes."""
    output:
        path=f"{DATA}/{{file}}",
    log:
        log_of("write_cohort_file", "{cohort}/{file}"),
    benchmark:
        benchmark_of("write_cohort_file", "{cohort}/{file}")
    wildcard_constraints:
        cohort=alternatives(SIMULATED),
        file=alternatives(name for cohort in SIMULATED for name in cohort_files(cohort)),
    conda:
        "../envs/simulation.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        layout=lambda wildcards: SIMULATED[wildcards.cohort],
        subjects=lambda wildcards: subjects_of(wildcards.cohort),
    script:
        "../workflow_scripts/write_cohort_file.py"


rule index_cohort:
    """List a cohort's patients and their files, one row per patient."""
    input:
        images=lambda wildcards: [
            path for subject in SUBJECTS[wildcards.cohort].values() for path in raw_files(subject)
        ],
        beside=lambda wildcards: list(cohort_files(wildcards.cohort).values()),
    output:
        index=INDEX,
    log:
        log_of("index_cohort", "{cohort}"),
    benchmark:
        benchmark_of("index_cohort", "{cohort}")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=30,
    params:
        subjects=lambda wildcards: subjects_of(wildcards.cohort),
    script:
        "../workflow_scripts/index_cohort.py"
