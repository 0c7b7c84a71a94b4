"""Stage 6: one page of the whole run."""

# name -> kind -> file, in the order of the page: what the key `report` may name. A name that starts with "fig" stands among
# the figures, with its table, if there is one, as the numbers behind the picture.
REPORTABLE = {name: {"table": f"results/{name}.html"} for name in COMPARISONS}
REPORTABLE["segmentations"] = {"picture": "results/segmentations.png"}


def reported():
    """What the page shows of REPORTABLE, by name."""
    if CONFIG.report == "all":
        return REPORTABLE
    unknown = [name for name in CONFIG.report if name not in REPORTABLE]
    if unknown:
        sys.exit(
            f"error: configuration: report: {', '.join(unknown)} is nothing that this configuration makes; "
            f"there are {', '.join(REPORTABLE)}"
        )
    return {name: REPORTABLE[name] for name in REPORTABLE if name in CONFIG.report}


REPORTED = reported()


def reported_files(kind):
    """Name -> file of one kind: table, picture or claims."""
    return {name: files[kind] for name, files in REPORTED.items() if kind in files}


def browsed_runs():
    """The runs whose outlines can be switched on: Table II's at the largest small label ratio, first seed."""
    ratio, seed = max(CONFIG.label_ratios), CONFIG.seeds[0]
    return [run for run in TABLE2_RUNS if (run.ratio, run.seed) == (ratio, seed)]


def caption(name):
    """The caption of a figure, shared with Snakemake's own report."""
    path = Path(workflow.basedir) / "report" / f"{name}.rst"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def page_cohort(name):
    cohort = CONFIG.cohorts[name]
    preprocessing = cohort.preprocessing
    return {
        "name": name,
        "title": cohort.title or name,
        "simulated": cohort.simulate is not None,
        "subjects": len(SUBJECTS[name]),
        "modalities": [modality for cohort_name, modality in plan.columns(CONFIG) if cohort_name == name],
        "regions": cohort.regions,
        "shards": shard_files(name),
        "facts": {
            "Pairs": ", ".join(cohort.pairs),
            "Slices": f"{' × '.join(map(str, preprocessing.size))} of {' × '.join(f'{s:g}' for s in preprocessing.spacing)} mm",
            "Layout": cohort.layout,
        },
    }


rule report_page:
    """Everything that the configuration's `report` names, every test patient and every QC picture in one HTML file."""
    input:
        tables=lambda wildcards: list(reported_files("table").values()),
        pictures=lambda wildcards: list(reported_files("picture").values()),
        claims=lambda wildcards: list(reported_files("claims").values()),
        scores=[scores_file(run) for run in TABLE2_RUNS],
        predictions=[predictions_file(run) for run in browsed_runs()],
        shards=[path for cohort in COHORTS for path in shard_files(cohort)],
        checks=rules.preprocess_all.input.pictures,
    output:
        page=report("results/index.html", caption="../report/page.rst", category="Page"),
    log:
        "logs/report_page.log",
    benchmark:
        "work/benchmarks/report_page.tsv"
    conda:
        "../envs/reporting.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        page=lambda wildcards: {
            "title": "Multi-ConDoS: results of this run",
            "methods": {key: {"label": METHODS[key].label, "group": METHODS[key].group} for key in CONFIG.methods},
            "shown": f"{plan.percent(max(CONFIG.label_ratios))} % of the labels, seed {CONFIG.seeds[0]}",
            "ratio": max(CONFIG.label_ratios),
            "reference": "multi_condos" if "multi_condos" in CONFIG.methods else None,
            "tables": reported_files("table"),
            "pictures": reported_files("picture"),
            "captions": {name: caption(name) for name in reported_files("picture")},
            "claims": next(iter(reported_files("claims").values()), None),
            # not an input: Snakemake lets no rule depend on a benchmark file; each is there when its job's outputs are
            "benchmarks": "work/benchmarks",
            "configuration": CONFIG.model_dump(mode="json"),
        },
        cohorts=[page_cohort(cohort) for cohort in COHORTS],
        predictions=[
            {"cohort": run.cohort, "modality": run.modality, "method": run.method, "path": predictions_file(run)}
            for run in browsed_runs()
        ],
        checks=[
            (cohort, subject, f"results/qc/{cohort}/{subject}.png")
            for cohort in COHORTS
            for subject in SUBJECTS[cohort]
        ],
    script:
        "../workflow_scripts/report_page.py"
