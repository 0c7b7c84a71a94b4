# %% [markdown]
# # Python, in a notebook
#
# What [the page on Python](../how_to/python.md) explains, in one go: a cohort as
# a torch Dataset, the losses in a loop of your own, a pre-trained encoder, a new
# patient. It needs neither data nor a GPU, and less than a minute of processor
# time. Below each cell is what it printed and drew when this page was built.
#
# To try it, start Jupyter in the project's folder and open
# [python.ipynb](python.ipynb), which has these outputs too, or
# docs/notebooks/python.py, its source in the percent format, which editors, and
# Jupyter with jupytext, open cell by cell.

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
import torch
from torch.utils.data import DataLoader

import mcd

torch.manual_seed(0)
plt.rcParams["figure.constrained_layout.use"] = True
plt.rcParams["image.cmap"] = "gray"

# %% [markdown]
# ## A run of the workflow
#
# Its folder holds all that follows. Here it runs on five simulated patients with
# brain tumours, as coarsely and briefly as will do: **ten steps of pre-training
# show how its result is used, not what it is worth.**

# %%
run = Path(tempfile.mkdtemp())
(run / "config.yaml").write_text("""
cohorts:
  brats:
    layout: brats2018
    simulate: {subjects: 5, spacing: {MR: [3, 3, 3]}}
    modalities: [FLAIR, T1CE]
    pairs: [FLAIR-T1CE]
    regions: {WT: [1, 2, 4], TC: [1, 4]}
    preprocessing: {size: [64, 64], spacing: [3, 3, 6]}
    test: 1
    batch_size: {pretraining: 8, finetuning: {0.05: 8}}
methods: [multi_condos]
label_ratios: [1.0]
full_ratios: []
filters: 8
pretraining: {epochs: 1, steps_per_epoch: 10}
finetuning:
  {epochs: 6, steps_per_epoch: 10, learning_rate: 0.01, warmup_epochs: 0}
algorithms: {dsgan: {discriminator_filters: 8}}
compute: {device: cpu}
""")
work = run / "work/brats"
shards = work / "shards"
checkpoint = work / "FLAIR-T1CE/pretraining/multi_condos/seed0/checkpoint.pt"
model_file = work / "FLAIR-T1CE/multi_condos/FLAIR/labels100/seed0/model.pt"

targets = [file.relative_to(run) for file in (checkpoint, model_file)]
command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
command += ["--configfile", run / "config.yaml", "--directory", run]
command += ["--workflow-profile", "none", "--", *targets]
subprocess.run(command, check=True)
print(*targets, sep="\n")

# %% [markdown]
# ## A cohort as a torch Dataset
#
# The split says who trains; whose labels a training may see is
# `split.labelled(ratio)`. An item is one slice of every modality, z-scored, with a
# background of exactly 0.

# %%
regions = {"WT": [1, 2, 4], "TC": [1, 4]}  # whole tumour, tumour core
split = mcd.read_split(run / "splits/brats/seed0.json")
modalities = ["FLAIR", "T1CE"]
slices = mcd.SliceDataset(shards, split.seen, modalities, regions=regions)
print(f"{len(slices)} slices of {split.seen}; {split.test} tests")
for name, value in slices[0].items():
    print(f"{name:8}", tuple(value.shape) if torch.is_tensor(value) else value)

# %% [markdown]
# The slice of each patient that holds most of the tumour, and the outlines of its
# label:

# %% alt="Slices of four patients in FLAIR and T1CE, tumours outlined"
colours = {"WT": "tab:orange", "TC": "tab:cyan"}
by_size = sorted(slices, key=lambda item: item["target"][0].sum())
largest = {item["subject"]: item for item in by_size}


def outline(
    axis: plt.Axes, masks: dict[str, np.ndarray], line: str = "solid"
) -> None:
    for region, mask in masks.items():
        if mask.any():
            axis.contour(mask, [0.5], colors=colours[region], linestyles=line)


figure, axes = plt.subplots(2, len(largest), figsize=(9, 4.8))
for column, subject in enumerate(sorted(largest)):
    item = largest[subject]
    axes[0, column].set_title(f"{subject}, slice {item['slice']}")
    for row, image in enumerate(item["image"].numpy()):
        axes[row, column].imshow(image)
        axes[row, column].set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(modalities[row])
        outline(axes[row, column], dict(zip(regions, item["target"].numpy())))
handles = [plt.Line2D([], [], color=colour) for colour in colours.values()]
_ = figure.legend(handles, colours, loc="outside lower center", ncols=2)

# %% [markdown]
# ## The paper's losses in a loop of your own
#
# Two encoders learn to give both modalities of a slice the same features (L_C,
# Eq. 2 and 3). Features that do not tell slices apart have L_C = 2 ln N in a batch
# of N: the dashed line.

# %% alt="L_C over the steps, falling from the dashed line"
loader = DataLoader(slices, batch_size=8, shuffle=True, drop_last=True)
of_flair, of_t1ce = mcd.Encoder(filters=8), mcd.Encoder(filters=8)
weights = [*of_flair.parameters(), *of_t1ce.parameters()]
optimiser = torch.optim.Adam(weights, lr=1e-3)
history = []
for _ in range(6):
    for batch in loader:
        flair, t1ce = batch["image"][:, :1], batch["image"][:, 1:]
        loss = mcd.multimodal_contrastive(of_flair(flair), of_t1ce(t1ce))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())


def draw_curve(values: list[float], name: str) -> None:
    plt.figure(figsize=(6, 2.6))
    plt.plot(range(1, len(values) + 1), values)
    plt.xlabel("step")
    plt.ylabel(name)
    plt.ylim(bottom=0)
    plt.gca().spines[["top", "right"]].set_visible(False)


draw_curve(history, "L_C")
_ = plt.axhline(2 * np.log(8), color="tab:gray", linestyle="--")

# %% [markdown]
# ## A pre-trained encoder
#
# One vector for each image, and the feature maps of five levels, finest first; in
# the picture each level's mean over its channels.

# %% alt="A FLAIR slice, and the encoder's five levels, ever coarser"
encoder = mcd.load_encoder(checkpoint, "FLAIR")
image = largest[split.train[0]]["image"][:1]  # FLAIR is the first channel
with torch.inference_mode():
    pooled = encoder(image[None])
    levels = encoder.encode(image[None])
print("pooled:", tuple(pooled.shape))
print("levels:", *(tuple(level.shape[1:]) for level in levels))

figure, axes = plt.subplots(1, 6, figsize=(9, 1.9))
pictures = [image, *(level[0] for level in levels)]
for axis, picture, title in zip(axes, pictures, ["FLAIR", *"12345"]):
    axis.imshow(picture.mean(0).numpy())
    axis.set_title(title)
    axis.set_axis_off()

# %% [markdown]
# ## Fine-tuning by hand
#
# The encoder goes into a U-Net, which learns from the labels of half of the
# training patients. Its first step begins with regions that are rare, as every
# fine-tuning of the workflow does.

# %% alt="The loss over the steps, falling"
labelled = mcd.SliceDataset(
    shards, split.labelled(0.5), ["FLAIR"], regions=regions, select="target"
)
network = mcd.UNet(filters=8, out_channels=len(regions))
network.encoder.load_state_dict(encoder.encoder.state_dict())
mcd.set_prior(network)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
segmentation = []
for _ in range(8):
    for batch in DataLoader(labelled, batch_size=8, shuffle=True):
        logits = network(batch["image"])
        known = batch["known"][:, :, None, None]  # a label may lack a region
        loss = mcd.dice_and_cross_entropy(logits, batch["target"], known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        segmentation.append(loss.item())
draw_curve(segmentation, "Dice + cross-entropy")

# %% [markdown]
# ## A new patient
#
# Any NIfTI, NRRD, MetaImage or folder of DICOM slices; here the FLAIR of the
# patient who tests, and the network that the workflow has fine-tuned. The result
# lies on the image's own grid.

# %%
patient = run / "data/brats/HGG" / split.test[0]
file = patient / f"{patient.name}_flair.nii.gz"
model = mcd.load_model(model_file, device="cpu")
found = mcd.predict(
    model, {"FLAIR": file}, largest_component=["WT"], device="cpu"
)
found.save(run / "label.nii.gz")
for region, volume in found.millilitres.items():
    print(f"{region}: {volume:.0f} ml")
print("warnings:", found.warnings)

# %% [markdown]
# What it found, and, dashed, the label of the simulation:

# %% alt="Four slices: outlines found lie close to those of the label"
flair = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
label_file = patient / f"{patient.name}_seg.nii.gz"
label = sitk.GetArrayFromImage(sitk.ReadImage(str(label_file)))
truth = {region: np.isin(label, codes) for region, codes in regions.items()}
dice = {}
for region, mask in found.masks.items():
    both = (mask & truth[region]).sum()
    dice[region] = 2 * both / (mask.sum() + truth[region].sum())
    print(f"Dice of {region}: {dice[region]:.2f}")

inside = np.flatnonzero(truth["WT"].any(axis=(1, 2)))
shown = np.quantile(inside, [0.2, 0.4, 0.6, 0.8], method="nearest")
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for axis, z in zip(axes, shown):
    axis.imshow(flair[z])
    axis.set_title(f"slice {z}")
    axis.set_axis_off()
    outline(axis, {region: mask[z] for region, mask in found.masks.items()})
    outline(axis, {region: mask[z] for region, mask in truth.items()}, "dashed")
