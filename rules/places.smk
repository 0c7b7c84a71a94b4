"""Every path of the workflow, one pattern each, for the rules and for the functions that fill patterns in.

The folders of a run are named after what decides its result, so that what several tables need has one path.
"""

# Where a simulated cohort is written; a real one's files stay where they are.
DATA = "data/{cohort}"

# Training and test patients: kept outside `work`, since somebody may have edited it.
DRAWN_SPLIT = "splits/{split}.json"
SPLIT = DRAWN_SPLIT.replace("{split}", "{cohort}/seed{seed}{fold}")
# The same patients, and the labels of one draw: the first draw's are those of the split itself.
LABELS = DRAWN_SPLIT.replace("{split}", "{cohort}/seed{seed}{fold}{draw}")

# What identifies a pre-training.
OF_PRETRAINING = "{cohort}/{pair}/{pretraining}/seed{seed}{fold}"

INDEX = "work/{cohort}/index.tsv"
SUBJECT = "work/{cohort}/subjects/{subject}"
SHARD = "work/{cohort}/shards/{shard}.h5"
PRETRAINING = "work/{cohort}/{pair}/pretraining/{pretraining}/seed{seed}{fold}"
CHECKPOINT = f"{PRETRAINING}/checkpoint.pt"
# What identifies a run, and a pair's two runs, which share a job.
OF_RUN = "{cohort}/{pair}/{method}/{modality}/labels{percent}/seed{seed}{fold}{draw}"
OF_BOTH_RUNS = "{cohort}/{first}-{second}/{method}/labels{percent}/seed{seed}{fold}{draw}"
RUN = f"work/{OF_RUN}"
MODEL = f"{RUN}/model.pt"
LOSSES = f"{RUN}/losses.csv"
PREDICTIONS = f"{RUN}/predictions.h5"
SCORES = f"{RUN}/scores.csv"
# The same of those by whom settings are chosen.
VALIDATION_PREDICTIONS = f"{RUN}/validation.h5"
VALIDATION_SCORES = f"{RUN}/validation.csv"
TRANSLATION = "work/{cohort}/{pair}/translation/{pretraining}/seed{seed}{fold}"
DIAGNOSIS = "work/{cohort}/{pair}/diagnosis/{pretraining}/seed{seed}{fold}.csv"
BENCHMARKS = "work/benchmarks"
RESUME = "work/.resume"
# of the states in there: a fine-tuning's is called as its model
PRETRAINING_STATE = OF_PRETRAINING

TABLE = "results/{table}.csv"
LONG_TABLE = "results/{table}_long.csv"
TABLE_PAGE = "results/{table}.html"
TABLE_CONTENT = "work/tables/{table}.json"
FIGURE = "results/{figure}.png"
FIGURE_PDF = "results/{figure}.pdf"
BY_TRAIT = "results/by_{trait}.csv"
CLAIMS = "results/claims.csv"
DIAGNOSES = "results/diagnosis.csv"
DIAGNOSES_PAGE = "results/diagnosis.html"
PAGE = "results/index.html"
PAGE_PATIENTS = "results/patients"
METHODS_TEXT = "results/methods.md"
REFERENCES = "results/methods.bib"
QC = "results/qc/{cohort}/{subject}.png"
QC_PAGE = "results/qc/index.html"
CONTRASTS = "work/{cohort}/contrasts/{subject}.json"
CHECKERBOARD = "results/registration/{cohort}/{subject}.png"
REGISTRATIONS = "results/registration/{cohort}.csv"
GROUPING = "results/groupings/{cohort}.csv"
EXPORTED = f"results/predictions/{OF_RUN}"
CURVES = f"results/curves/{OF_RUN}.png"


def fix(pattern, **texts):
    """A pattern with some wildcards replaced by text, which may contain other wildcards."""
    for wildcard, text in texts.items():
        pattern = pattern.replace(f"{{{wildcard}}}", str(text))
    return pattern


def both(pattern):
    """A run's pattern for each modality of the pair `{first}-{second}`."""
    return [fix(pattern, pair="{first}-{second}", modality=modality) for modality in ("{first}", "{second}")]


def log_of(rule, job=""):
    """The log of a rule's job; `job` identifies it among the rule's jobs, beginning with the cohort."""
    return f"logs/{_job(rule, job)}.log"


def benchmark_of(rule, job=""):
    """What a rule's job cost, as Snakemake measured it."""
    return f"{BENCHMARKS}/{_job(rule, job)}.tsv"


def _job(rule, job):
    cohort, slash, rest = job.partition("/")
    return f"{cohort}/{rule}{slash}{rest}" if cohort == "{cohort}" else f"{rule}/{job}".rstrip("/")


def of_run(pattern, run):
    """A file of a run (`mcd.plan.Run`)."""
    return fix(
        pattern,
        cohort=run.cohort,
        pair=run.pair,
        method=run.method,
        modality=run.modality,
        percent=plan.percent(run.ratio),
        seed=run.seed,
        fold=plan.fold_text(run.fold),
        draw=plan.draw_text(run.draw),
    )


def of_pretraining(pattern, cohort, pair, pretraining, seed, fold):
    """A file of a pre-training, or of the translation by its generators."""
    return fix(pattern, cohort=cohort, pair=pair, pretraining=pretraining, seed=seed, fold=plan.fold_text(fold))


def model_file(run):
    return of_run(MODEL, run)


def scores_file(run):
    return of_run(SCORES, run)


def predictions_file(run):
    return of_run(PREDICTIONS, run)


def pretraining_file(*names):
    return of_pretraining(CHECKPOINT, *names)


def split_name(cohort, seed, draw, fold):
    """A split as the wildcard of the rules that draw them has it."""
    return f"{cohort}/seed{seed}{plan.fold_text(fold)}{plan.draw_text(draw)}"


def split_file(*names):
    return fix(DRAWN_SPLIT, split=split_name(*names))


def translation_file(made, name):
    return of_pretraining(f"{TRANSLATION}/{name}", *astuple(made))


def shard_files(cohort):
    size = CONFIG.cohorts[cohort].subjects_per_shard
    return [fix(SHARD, cohort=cohort, shard=number) for number in range(-(-len(SUBJECTS[cohort]) // size))]


def split_files(cohort):
    """The split of every training of a cohort."""
    return [split_file(cohort, *training) for training in plan.trainings(CONFIG, cohort)]


def subject_files(pattern, cohorts):
    """A file of every patient of some cohorts."""
    return [fix(pattern, cohort=cohort, subject=subject) for cohort in cohorts for subject in SUBJECTS[cohort]]


def table_outputs(name, caption="table"):
    """The files of a table: wide CSV, long CSV, a page and its content; with its place in Snakemake's report."""

    def reported(pattern, form):
        labels = {"table": name, "format": form}
        return report(fix(pattern, table=name), caption=f"../report/{caption}.rst", category="Tables", labels=labels)

    return {
        "table": reported(TABLE, "CSV"),
        "long": fix(LONG_TABLE, table=name),
        "page": reported(TABLE_PAGE, "page"),
        "content": fix(TABLE_CONTENT, table=name),
    }


def figure_outputs(name, label, *, key="figure", caption=None):
    """The files of a figure: a PNG to look at, with its place in Snakemake's report, and a PDF to print."""
    picture = report(
        fix(FIGURE, figure=name),
        caption=f"../report/{caption or name}.rst",
        category="Figures",
        labels={"figure": label},
    )
    return {key: picture, f"{key}_pdf": fix(FIGURE_PDF, figure=name)}
