"""What each stage takes from the configuration: the inputs, parameters and resources that rules name."""

from snakemake.io import WILDCARD_REGEX

SIMULATED = {name: cohort.layout for name, cohort in CONFIG.cohorts.items() if cohort.simulate}


def simulation(wildcards):
    """Everything that determines a simulated patient's images, apart from its id."""
    return CONFIG.cohorts[wildcards.cohort].simulate.model_dump(include={"seed", "noise", "spacing"})


def raw_files(subject, watched=True):
    """A patient's raw files that Snakemake can watch, or those that it cannot; a DICOM folder is watched by its files.

    Snakemake takes a word in braces for a wildcard wherever it stands in a file's path, and has no way to escape it.
    """
    places = [*subject.images.values(), subject.label, subject.mask]
    for path in dict.fromkeys(file_and_channel(place)[0] for place in places if place):  # channels share a file
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if bool(WILDCARD_REGEX.search(str(file))) != watched:
                yield str(file)


def unwatched_files(subject):
    """Sizes and times of the files that are no inputs, as a parameter: a changed one reruns what follows all the same."""
    states = {file: Path(file).stat() for file in raw_files(subject, watched=False)}
    return {file: [state.st_size, state.st_mtime_ns] for file, state in states.items()}


def cohort_files(cohort):
    """Files beside the patients of a simulated cohort, such as HECKTOR's CSV of boxes: file name -> path."""
    names = simulator_of(SIMULATED[cohort]).cohort_files if cohort in SIMULATED else ()
    return {name: f"{fix(DATA, cohort=cohort)}/{name}" for name in names}


def preprocessed_subject(subject):
    """A patient as a parameter of its preprocessing: without its part in the split and its origin, which change no image."""
    return replace(subject, split=None, **dict.fromkeys(ORIGIN.values())).to_json()


def subjects_of(cohort):
    """A cohort's patients, in a form that can be passed to a script."""
    return [subject.to_json() for subject in SUBJECTS[cohort].values()]


def pretraining_task(wildcards):
    """Everything in the configuration that changes what a pre-training learns."""
    names = wildcards.cohort, wildcards.pair, wildcards.pretraining, int(wildcards.seed)
    return or_explain(plan.pretraining_task, CONFIG, *names).model_dump()


def training_of(wildcards):
    """(seed, draw, fold), as the plan has them."""
    draw = plan.draw_number(wildcards.get("draw", ""))  # of a pre-training there is none
    return int(wildcards.seed), draw, plan.fold_number(wildcards.fold)


def labelled_split(wildcards):
    """The split of what learns from labels or is tested on them: ends before anything runs where it leaves nobody for that."""
    cohort = wildcards.cohort
    if split := SPLITS.get((cohort, *training_of(wildcards))):
        or_explain(plan.check_labels, cohort, split)
        if "method" in wildcards.keys():
            or_explain(plan.check_unlabelled, cohort, split, wildcards.method, RATIOS[wildcards.percent])
    return fix(LABELS, cohort=cohort, seed=wildcards.seed, fold=wildcards.fold, draw=wildcards.get("draw", ""))


def validated_split(wildcards):
    """The split of a run whose validation patients are wanted: ends before anything runs where there is none."""
    if split := SPLITS.get((wildcards.cohort, *training_of(wildcards))):
        or_explain(plan.check_validation, wildcards.cohort, split)
    return labelled_split(wildcards)


def table_scores(table):
    """The score files of a table: those of the test patients, or of the validation patients for the table of these."""
    pattern = VALIDATION_SCORES if table == plan.VALIDATION else SCORES
    return [of_run(pattern, run) for run in COMPARISONS[table].runs]


def table_splits(table):
    """(cohort, split) of every training, for the cohorts of a table."""
    return [(cohort, path) for cohort in dict(COMPARISONS[table].spec.columns) for path in split_files(cohort)]


def finetuned_runs(wildcards):
    """What the rules of stage 4 train: one modality, or both of a pair; each with the columns of its score file."""
    both = "first" in wildcards.keys()
    modalities = [wildcards.first, wildcards.second] if both else [wildcards.modality]
    seed, draw, fold = training_of(wildcards)
    return [
        {
            "cohort": wildcards.cohort,
            "pair": "-".join(modalities) if both else wildcards.get("pair", plan.SINGLE),
            "modality": modality,
            "method": wildcards.method,
            "label_ratio": RATIOS[wildcards.percent],
            "seed": seed,
            # the first draw and the only split go unnamed, as in paths: a run that has no other is what it was
            **{name: number for name, number in (("draw", draw), ("fold", fold)) if number},
        }
        for modality in modalities
    ]


def finetuned_run(names):
    """One of `finetuned_runs` as a run of the plan."""
    keys = ["cohort", "pair", "method", "modality", "label_ratio", "seed"]  # in the order of a Run
    return plan.Run(*(names[key] for key in keys), draw=names.get("draw", 0), fold=names.get("fold", 0))


def pretrained(wildcards):
    """The checkpoint that a method starts from; nothing for one that starts from random weights."""
    made = plan.pretraining_of(CONFIG, finetuned_run(finetuned_runs(wildcards)[0]))
    return {"pretrained": pretraining_file(*made)} if made else {}


def finetuning_tasks(wildcards):
    """Of each run, everything in the configuration that changes what it learns."""
    keys = ["cohort", "method", "modality", "label_ratio", "seed"]
    runs = finetuned_runs(wildcards)
    return [plan.finetuning_task(CONFIG, *(run[key] for key in keys)).model_dump() for run in runs]


def fused_run(wildcards):
    """The run that fuses a pair's networks; its modality is the pair."""
    ratio, pair = RATIOS[wildcards.percent], wildcards.pair
    return plan.Run(wildcards.cohort, pair, wildcards.method, pair, ratio, *training_of(wildcards))


FUSED_RUNS = plan.fused_runs(CONFIG)


def keeps_probabilities(wildcards):
    """For each run that is trained, whether its probabilities are kept besides its masks: fusion by the mean needs them."""
    return [finetuned_run(run) in FUSED_RUNS for run in finetuned_runs(wildcards)]


# What decides digits is a parameter of the rules that train; how much is held in memory is a resource, and reruns nothing.
COMPUTE = CONFIG.compute.model_dump(exclude={"memory_limit_gb", "logger"})
HELD_MB = round(1000 * CONFIG.compute.memory_limit_gb)


def training_gpus(wildcards):
    """GPUs that a training job requests: one if the configuration names one, or leaves it open and jobs go to a cluster or
    this machine has one. Evaluated while jobs are planned: how they are executed is not known before.
    """
    if CONFIG.compute.device == "auto":
        return int(workflow.non_local_exec or workflow.remote_exec or bool(visible_cards()))
    return int(CONFIG.compute.device != "cpu")


def training_memory(wildcards, attempt):
    """Megabytes for a training; they double with each retry. With a GPU, the paper's networks and slices are expected."""
    return growing(32000 if training_gpus(wildcards) else 8000)(wildcards, attempt)


def scoring_threads(wildcards):
    """Test patients that are scored at a time: of so few that a second is enough for all, one."""
    return min(4, 1 + len(SUBJECTS[wildcards.cohort]) // 100)


def growing(megabytes):
    """Memory that doubles with each retry."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def hours(number):
    """A runtime in minutes. It does not grow with retries: a retried training continues where the last one stopped."""
    return round(60 * number)


def inception_file(wildcards):
    """FID's Inception network, if the configuration names a file."""
    path = or_explain(lambda: CONFIG.translation.inception_file)
    return {"inception": str(path)} if path else {}


def shown_translation(made):
    """A translation of Fig. 3 or 4, with everything needed to draw it."""
    cohort = CONFIG.cohorts[made.cohort]
    return {
        "cohort": made.cohort,
        "pair": made.pair,
        "examples": translation_file(made, "examples.h5"),
        "method": METHODS[made.pretraining].label,
        "cohort_label": (cohort.title or made.cohort) + (" (simulated)" if cohort.simulate else ""),
    }


def drawn_prediction(run):
    """A run's predictions, with everything needed to draw them."""
    cohort = CONFIG.cohorts[run.cohort]
    return {
        "cohort": run.cohort,
        "modality": run.modality,
        "regions": cohort.regions,
        "shards": shard_files(run.cohort),
        "predictions": predictions_file(run),
        "method": METHODS[run.method].label,
        "pair": plan.trained_in(run),
        "cohort_label": cohort.title or run.cohort,
    }


# (cohort, pair, pre-training, seed, fold) -> the fine-tunings that started from it
DIAGNOSED = plan.diagnosed(CONFIG)
DIAGNOSED_METHODS = {pretraining: METHODS[pretraining].label for _, _, pretraining, *_ in DIAGNOSED}


def diagnosed_models(wildcards):
    """The fine-tuned networks of a pre-training that is diagnosed."""
    seed, _, fold = training_of(wildcards)
    names = wildcards.cohort, wildcards.pair, wildcards.pretraining, seed, fold
    return [model_file(run) for run in DIAGNOSED.get(names, [])]


COSTS = plan.costs(CONFIG)

KINDS = plan.reportable(CONFIG)
PLACE_OF_KIND = {"table": TABLE_PAGE, "picture": FIGURE, "claims": CLAIMS, "diagnosis": DIAGNOSES}
# name -> kind -> file, in the order of the page: what the key `report` may name
REPORTABLE = {
    name: {kind: fix(place, table=name, figure=name) for kind, place in PLACE_OF_KIND.items() if kind in kinds}
    for name, kinds in KINDS.items()
}
REPORTED = {name: REPORTABLE[name] for name in or_explain(plan.reported, CONFIG, KINDS)}
if workflow.is_main_process:
    or_explain(plan.check_reported, CONFIG, REPORTED)
CLAIMABLE = plan.claimable(KINDS)
CLAIMED = or_explain(plan.claimed, CONFIG, CLAIMABLE)


def claims_scores():
    """Table or figure -> the score files that its claims are tested on: those of its runs that `claims` asks for."""
    made = {run for name in CLAIMED if name in COMPARISONS for run in COMPARISONS[name].runs}
    shared = {name: [run for run in COMPARISONS[name].runs if run in made] for name in CLAIMABLE if name in COMPARISONS}
    return {name: [scores_file(run) for run in runs] for name, runs in shared.items() if runs}


def claims_translations():
    """File's name -> the translations' files on which Table IV's claims are tested; none if they are not asked for."""
    files = ("scores.csv", "distances.csv")
    return {name: [translation_file(made, name) for made in TRANSLATIONS] for name in files if "table4" in CLAIMED}


def claims_measured():
    """Table -> its long CSV, for tables of single measurements."""
    return {name: fix(LONG_TABLE, table=name) for name in CLAIMED if name not in COMPARISONS and name != "table4"}


def claims_rankings():
    """Cohort -> how different its pairs look, for Fig. 8's claims."""
    return {cohort: fix(GROUPING, cohort=cohort) for cohort in plan.groupings(CONFIG) if "fig8" in CLAIMED}


def reported_files(kind):
    """Name -> file of one kind: table, picture, claims or diagnosis."""
    return {name: files[kind] for name, files in REPORTED.items() if kind in files}


def reported_contents():
    """Name -> what each table's page shows, from which the page of the whole run is made."""
    return {name: fix(TABLE_CONTENT, table=name) for name in reported_files("table")}


def browsed_runs():
    """The runs whose outlines the page can show: those of `methods`, of the first draw of labels."""
    return [run for run in CONFIGURED_RUNS if run.draw == 0]


def caption(name):
    """The caption of a figure, shared with Snakemake's own report and by all forms of the figure (fig2, fig2_outlines)."""
    path = Path(workflow.basedir) / "report" / f"{name.split('_')[0]}.rst"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def states_to_come():
    """What trainings that are planned, and not done, may still resume from, relative to the folder of all states."""
    compared = {run for comparison in COMPARISONS.values() for run in comparison.runs}
    runs = {run for run in compared | set(FUSED_RUNS) if run.modality != run.pair}  # a fusion trains nothing
    jobs = {}
    for run in runs:  # both runs of a pair are one job, and done together
        jobs.setdefault(replace(run, modality=""), []).append(run)
    done = [all(Path(predictions_file(run)).exists() for run in job) for job in jobs.values()]
    models = {model_file(run) for job, is_done in zip(jobs.values(), done) if not is_done for run in job}
    pretrainings = {made for run in runs if (made := plan.pretraining_of(CONFIG, run))}
    pretrainings |= {astuple(made) for made in TRANSLATIONS}
    undone = {names for names in pretrainings if not Path(pretraining_file(*names)).exists()}
    return models | {of_pretraining(PRETRAINING_STATE, *names) for names in undone}


def reported_losses():
    """The losses of every training that the configured methods need, by its place in `work/`."""
    trained = [*pretraining_files(), *(model_file(run) for run in CONFIGURED_RUNS)]
    folders = dict.fromkeys(str(Path(path).parent) for path in trained)
    return {str(Path(*Path(folder).parts[1:])): f"{folder}/losses.csv" for folder in folders}


def described_pretrainings():
    """Pre-training of a configured method -> what it was asked for in the first cohort and pair that has it."""
    tasks = {}
    for run in CONFIGURED_RUNS:
        made = plan.pretraining_of(CONFIG, run)
        if made and made[2] not in tasks:
            tasks[made[2]] = or_explain(plan.pretraining_task, CONFIG, *made[:4]).model_dump()  # the same for all folds
    return tasks


def described_losses():
    """Pre-training of a configured method -> all its losses."""
    losses = {}
    for made in dict.fromkeys(plan.pretraining_of(CONFIG, run) for run in CONFIGURED_RUNS):
        if made:
            losses.setdefault(made[2], []).append(f"{of_pretraining(PRETRAINING, *made)}/losses.csv")
    return losses


def described_cohort(name):
    """A cohort for the text on methods."""
    cohort, subjects = CONFIG.cohorts[name], SUBJECTS[name].values()
    return {
        "title": cohort.title or name,
        "settings": cohort.model_dump(mode="json", exclude={"folder", "sheet"}),
        "subjects": len(subjects),
        "unlabelled": sum(subject.label is None for subject in subjects),
        "masked": sum(subject.mask is not None for subject in subjects),
        "boxed": any(subject.box is not None for subject in subjects),
        "citation": (plan.cohort_facts(CONFIG, name).get("card", {}).get("data") or {}).get("citation"),
        "splits": split_files(name),
    }


def first_colour(name):
    """Where the colours of a cohort's label codes begin: after those of the cohorts before it."""
    before = COHORTS[: COHORTS.index(name)]
    return sum(max(code for codes in CONFIG.cohorts[cohort].regions.values() for code in codes) for cohort in before)


def checked_cohort(name):
    """A cohort for the page of its preprocessed patients."""
    cohort = CONFIG.cohorts[name]
    simulated = cohort.simulate is not None
    return {"name": name, "title": cohort.title or name, "simulated": simulated, "regions": cohort.regions}


def checked_patients():
    """Every patient's files for that page, and for the page of the whole run."""
    return [
        {
            "cohort": cohort,
            "subject": subject,
            **{
                name: fix(place, cohort=cohort, subject=subject)
                for name, place in {"folder": SUBJECT, "picture": QC, "contrasts": CONTRASTS}.items()
            },
        }
        for cohort in COHORTS
        for subject in SUBJECTS[cohort]
    ]


def check_page_so_far():
    """Write the page of those who are preprocessed, where a run failed and left others out; say so."""
    cohorts = [CheckedCohort(**checked_cohort(cohort)) for cohort in COHORTS]
    checks = [Check(**patient) for patient in checked_patients()]
    absent = write_check_page_so_far(cohorts, checks, QC_PAGE, preprocessing_log)
    for cohort, subjects in absent.items():
        log = preprocessing_log(cohort, subjects[0])
        yield f"{QC_PAGE}: without {len(subjects)} of {len(SUBJECTS[cohort])} patients of {cohort}; see {log}"


def preprocessing_log(cohort, subject):
    return fix(log_of("preprocess_subject", "{cohort}/{subject}"), cohort=cohort, subject=subject)


def page_cohort(name):
    cohort = CONFIG.cohorts[name]
    preprocessing = cohort.preprocessing
    without = sum(subject.label is None for subject in SUBJECTS[name].values())
    return {
        **checked_cohort(name),
        "subjects": len(SUBJECTS[name]),
        "modalities": [modality for cohort_name, modality in plan.columns(CONFIG) if cohort_name == name],
        "shards": shard_files(name),
        "splits": split_files(name),
        "facts": {
            "Pairs": ", ".join(cohort.pairs),
            "Slices": f"{' × '.join(map(str, preprocessing.size))} of {' × '.join(f'{s:g}' for s in preprocessing.spacing)} mm",
            "Layout": cohort.layout,
            **({"Without a label": f"{without}, in training alone"} if without else {}),
        },
    }
