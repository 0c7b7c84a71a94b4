"""What each stage takes from the configuration: the inputs, parameters and resources that rules name."""

import shutil

BRAINS = [name for name, cohort in CONFIG.cohorts.items() if cohort.simulate and cohort.layout == "brats2018"]
HEADS = [name for name, cohort in CONFIG.cohorts.items() if cohort.simulate and cohort.layout == "hecktor2020"]


def simulation(wildcards):
    """What decides a simulated patient's images, apart from its id."""
    return CONFIG.cohorts[wildcards.cohort].simulate.model_dump(include={"seed", "noise", "spacing"})


def raw_files(subject):
    """A patient's raw files as far as Snakemake can watch them: a DICOM folder is watched by its files."""
    found = [*subject.images.values(), subject.label, subject.mask]
    for path in filter(None, found):
        if path.is_dir():
            yield from sorted(map(str, path.iterdir()))
        else:
            yield str(path)


def bounding_boxes(wildcards):
    """The CSV of boxes that a simulated HECKTOR cohort is given; a real one's was read with its patients."""
    return f"data/{wildcards.cohort}/hecktor2020_bounding_boxes.csv" if wildcards.cohort in HEADS else []


def split_file(wildcards):
    """Who trains and who tests in the run that the wildcards describe."""
    return f"splits/{wildcards.cohort}/seed{wildcards.seed}.json"


def pretraining_settings(wildcards):
    """Everything in the configuration that changes what a pre-training learns."""
    return plan.pretraining_settings(CONFIG, wildcards.cohort, wildcards.pretraining, int(wildcards.seed))


def pretrained(wildcards):
    """The checkpoint that a method starts from; nothing for one that starts from random weights."""
    pretraining = METHODS[wildcards.method].pretraining
    if pretraining is None:
        return {}
    return {"pretrained": pretraining_file(wildcards.cohort, wildcards.pair, pretraining, wildcards.seed)}


def finetuning_settings(wildcards):
    """Everything in the configuration that changes what a fine-tuning learns."""
    ratio = float(wildcards.percent) / 100
    return plan.finetuning_settings(CONFIG, wildcards.cohort, wildcards.method, ratio, int(wildcards.seed))


def training_gpus():
    """GPUs a training job asks for: one where the configuration names one, or leaves it open and there is one."""
    if CONFIG.compute.device == "auto":
        return int(shutil.which("nvidia-smi") is not None)
    return int(CONFIG.compute.device != "cpu")


COMPUTE = CONFIG.compute.model_dump()
GPUS = training_gpus()


def growing(megabytes):
    """Memory that doubles with each retry."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def hours(number):
    """A runtime in minutes. It does not grow with retries: a retried training goes on where the last one stopped."""
    return round(60 * number)
