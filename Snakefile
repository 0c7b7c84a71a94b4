"""Multi-ConDoS: from raw multimodal scans to the tables of the paper.

This file is the table of contents: the configuration, one file of rules per stage, and the named targets.
"""

from snakemake.utils import min_version

min_version("9.0")


report: "report/workflow.rst"


if not workflow.overwrite_configfiles:  # --configfile replaces the default; it is never merged into it

    configfile: f"{workflow.basedir}/config.yaml"


include: "rules/places.smk"
include: "rules/common.smk"
include: "rules/settings.smk"
include: "rules/cohort.smk"
include: "rules/registration.smk"
include: "rules/preprocess.smk"
include: "rules/shards.smk"
include: "rules/splits.smk"
include: "rules/pretrain.smk"
include: "rules/finetune.smk"
include: "rules/score.smk"
include: "rules/translate.smk"
include: "rules/diagnosis.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/page.smk"
include: "rules/console.smk"


# `--resources gpu=8` counts the GPUs of this machine, whose number is the default; on a cluster, its scheduler counts them,
# and the number here is only the most that one job may ask for.
resource_scopes:
    gpu="local",


if workflow.is_main_process and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, len(visible_cards())))


localrules:
    all,
    raw,
    preprocess,
    registration,
    shards,
    pretrain,
    finetune,


rule all:
    """Everything."""
    input:
        rules.preprocess_all.input,
        [path for files in REPORTABLE.values() for path in files.values()],
        expand(BY_TRAIT, trait=TRAITS),
        PAGE,


rule raw:
    """Stage 0: the raw files (written for simulated cohorts, found for others) and each cohort's index."""
    input:
        expand(INDEX, cohort=COHORTS),


rule preprocess:
    """Stage 1: every patient on one grid, cropped and normalised, with a QC picture."""
    input:
        rules.preprocess_all.input,


rule registration:
    """Stage 1, where registration is on: its checkerboards and tables."""
    input:
        rules.register_all.input,


rule shards:
    """Stage 2: all slices in HDF5, and the splits."""
    input:
        [shard_files(cohort) for cohort in COHORTS],
        SPLIT_FILES,


rule pretrain:
    """Stage 3: every pre-training that the configured methods need."""
    input:
        pretraining_files(),


rule finetune:
    """Stage 4: every segmentation network of the configured methods."""
    input:
        [model_file(run) for run in CONFIGURED_RUNS],


include: "rules/targets.smk"


onstart:
    HELD.append(hold(Path(RUNNING)))


onsuccess:
    if CONSOLE:
        CONSOLE.close()
    clear_states(Path(RESUME), states_to_come())
    for sentence in warnings_of_patients():
        print(f"warning: {sentence}", file=sys.stderr)
    for lock in filter(None, HELD):
        if made := made_since(Path(PAGE).parent, os.fstat(lock.fileno()).st_mtime):
            print("made: " + ", ".join(made), file=sys.stderr)
    Path(RUNNING).unlink(missing_ok=True)


onerror:
    if CONSOLE:
        CONSOLE.close()
    for sentence in [*warnings_of_patients(), *check_page_so_far()]:
        print(f"warning: {sentence}", file=sys.stderr)
    Path(RUNNING).unlink(missing_ok=True)
