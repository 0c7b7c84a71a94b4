"""Stage 5: what the pre-trained generators make of the test patients' slices (paper Sec. V-B): Table IV, Figs. 3 and 4.

Nothing is trained here: the pre-trainings are Table III's.
"""


rule translate_pair:
    """Translate and reconstruct the test patients' slices with a pre-training's generators, and score what came out."""
    input:
        unpack(inception_file),
        shards=lambda wildcards: shard_files(wildcards.cohort),
        split=split_file,
        pretrained="work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}/checkpoint.pt",
    output:
        scores="work/{cohort}/{pair}/translation/{pretraining}/seed{seed}/scores.csv",
        distances="work/{cohort}/{pair}/translation/{pretraining}/seed{seed}/distances.csv",
        examples="work/{cohort}/{pair}/translation/{pretraining}/seed{seed}/examples.h5",
    log:
        "logs/{cohort}/translate_pair/{pair}/{pretraining}/seed{seed}.log",
    benchmark:
        "work/benchmarks/{cohort}/translate_pair/{pair}/{pretraining}/seed{seed}.tsv"
    conda:
        "../envs/translation.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
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
        table=report(
            "results/table4.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "table4", "format": "CSV"},
        ),
        long="results/table4_long.csv",
        page=report(
            "results/table4.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "table4", "format": "page"},
        ),
        content="work/tables/table4.json",
    log:
        "logs/aggregate_translations.log",
    benchmark:
        "work/benchmarks/aggregate_translations.tsv"
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
        figure=report(
            "results/fig3.png",
            caption="../report/fig3.rst",
            category="Figures",
            labels={"figure": "Fig. 3"},
        ),
        pdf="results/fig3.pdf",
    log:
        "logs/draw_embeddings.log",
    benchmark:
        "work/benchmarks/draw_embeddings.tsv"
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
    """Fig. 4: a slice of each pair, translated and reconstructed by every variant, with maps of the error."""
    input:
        examples=[translation_file(made, "examples.h5") for made in DRAWN],
    output:
        figure=report(
            "results/fig4.png",
            caption="../report/fig4.rst",
            category="Figures",
            labels={"figure": "Fig. 4"},
        ),
        pdf="results/fig4.pdf",
    log:
        "logs/draw_translations.log",
    benchmark:
        "work/benchmarks/draw_translations.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        shown=[shown_translation(made) for made in DRAWN],
    script:
        "../workflow_scripts/draw_translations.py"
