"""Stage 5: translations of the test patients' slices by the pre-trained generators (paper Sec. V-B): Table IV, Figs. 3 and 4.

Nothing is trained here: the pre-trainings are Table III's.
"""


rule translate_pair:
    """Translate and reconstruct the test patients' slices with a pre-training's generators, and score the results."""
    input:
        unpack(inception_file),
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=labelled_split,
        pretrained=CHECKPOINT,
    output:
        scores=f"{TRANSLATION}/scores.csv",
        distances=f"{TRANSLATION}/distances.csv",
        examples=f"{TRANSLATION}/examples.h5",
    log:
        log_of("translate_pair", OF_PRETRAINING),
    benchmark:
        benchmark_of("translate_pair", OF_PRETRAINING)
    conda:
        "../envs/translation.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        held_mb=HELD_MB,
        runtime=hours(2),
    params:
        regions=lambda wildcards: CONFIG.cohorts[wildcards.cohort].regions,
        compute=COMPUTE,
    script:
        "../workflow_scripts/translate_pair.py"


rule aggregate_translations:
    """Table IV: FID and SSIM of translations and reconstructions."""
    input:
        scores=[translation_file(made, "scores.csv") for made in TRANSLATIONS],
        distances=[translation_file(made, "distances.csv") for made in TRANSLATIONS],
    output:
        **table_outputs("table4"),
    log:
        log_of("aggregate_translations"),
    benchmark:
        benchmark_of("aggregate_translations")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        spec=TRANSLATION_SPEC and asdict(TRANSLATION_SPEC),
    script:
        "../workflow_scripts/aggregate_translations.py"


rule draw_embeddings:
    """Fig. 3: t-SNE of the features of paired slices, with and without the contrastive loss."""
    input:
        examples=[translation_file(made, "examples.h5") for made in EMBEDDED],
    output:
        **figure_outputs("fig3", "Fig. 3"),
    log:
        log_of("draw_embeddings"),
    benchmark:
        benchmark_of("draw_embeddings")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        shown=[shown_translation(made) for made in EMBEDDED],
        seed=CONFIG.seeds[0],
    script:
        "../workflow_scripts/draw_embeddings.py"


rule draw_translations:
    """Fig. 4: a slice of each pair, translated and reconstructed by every variant, with error maps."""
    input:
        examples=[translation_file(made, "examples.h5") for made in DRAWN],
    output:
        **figure_outputs("fig4", "Fig. 4"),
    log:
        log_of("draw_translations"),
    benchmark:
        benchmark_of("draw_translations")
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        shown=[shown_translation(made) for made in DRAWN],
    script:
        "../workflow_scripts/draw_translations.py"
