# %% [markdown]
# # Multi-ConDoS from Python
#
# A notebook in the percent format: an editor, or Jupyter with jupytext, opens it cell by cell, and
# `python docs/notebooks/python.py` runs it as it is, on a CPU, as the project's tests do. The page is docs/how_to/python.md.

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import SimpleITK as sitk
import torch
from torch.utils.data import DataLoader

import mcd
from mcd.testing.cohort import make_tiny_cohort

torch.manual_seed(0)

# %% [markdown]
# First what the workflow would have left: shards and a split of a cohort (here a tiny one, for tests), a pre-training and a
# model. In a run of the workflow they are `work/<cohort>/shards`, `splits/<cohort>/seed0.json`,
# `work/<cohort>/<pair>/pretraining/<method>/seed0/checkpoint.pt` and
# `work/<cohort>/<pair>/<method>/<modality>/labels10/seed0/model.pt`.

# %%
run = Path(tempfile.mkdtemp())
made = make_tiny_cohort(run)
(run / "config.yaml").write_text("""
cohorts:
  tiny:
    layout: samplesheet
    sheet: none.tsv
    modalities: [A, B]
    pairs: [A-B]
    regions: {core: [1], whole: [1, 2]}
    preprocessing: {size: [32, 32]}
    batch_size: {pretraining: 8, finetuning: {0.5: 8}}
methods: [multi_condos]
label_ratios: [0.5]
full_ratios: []
filters: 4
pretraining: {epochs: 1, steps_per_epoch: 2}
finetuning: {epochs: 4, steps_per_epoch: 4, learning_rate: 0.01, warmup_epochs: 0}
algorithms: {dsgan: {discriminator_filters: 2}}
compute: {device: cpu}
""")


def command(name: str, *arguments: str) -> None:
    shared = ["--config", run / "config.yaml", "--cohort", "tiny", "--split", made.split, "--shards", *made.shards]
    subprocess.run([sys.executable, "-m", "mcd.cli", name, *map(str, shared), *arguments], check=True)


command("pretrain", "--pair", "A-B", "--output", f"{run}/checkpoint.pt")
command(
    "finetune",
    "--modality",
    "A",
    "--ratio",
    "0.5",
    "--pretrained",
    f"{run}/checkpoint.pt",
    "--output",
    f"{run}/model.pt",
)

# %% [markdown]
# ## A cohort as a torch Dataset

# %%
split = mcd.read_split(made.split)
slices = mcd.SliceDataset(made.shards, split.seen, ["A", "B"])
loader = DataLoader(slices, batch_size=8, shuffle=True, drop_last=True)
print(len(slices), slices[0]["image"].shape, slices[0]["subject"], slices[0]["slice"])

# %% [markdown]
# ## The paper's losses in a loop of your own

# %%
of_a, of_b = mcd.Encoder(filters=4), mcd.Encoder(filters=4)
optimiser = torch.optim.Adam([*of_a.parameters(), *of_b.parameters()], lr=1e-3)
history = []
for _ in range(8):
    for batch in loader:
        first, second = batch["image"][:, :1], batch["image"][:, 1:]
        loss = mcd.multimodal_contrastive(of_a(first), of_b(second), temperature=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
print(f"L_C: {history[0]:.2f} -> {history[-1]:.2f}")

# %% [markdown]
# ## A pre-trained encoder, and fine-tuning by hand

# %%
encoder = mcd.load_encoder(run / "checkpoint.pt", "A")
with torch.inference_mode():
    pooled = encoder(first)  # (8, 64): 16 f
    levels = encoder.encode(first)  # the five levels' feature maps, finest first
print(pooled.shape, [tuple(level.shape[1:]) for level in levels])

# %%
regions = {"core": [1], "whole": [1, 2]}
labelled = mcd.SliceDataset(made.shards, split.labelled(0.5), ["A"], regions=regions, select="target")
network = mcd.UNet(filters=4, out_channels=len(regions))
network.encoder.load_state_dict(encoder.encoder.state_dict())
optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
segmentation = []
for _ in range(8):
    for batch in DataLoader(labelled, batch_size=8, shuffle=True):
        known = batch["known"][:, :, None, None]  # a label may hold some of the regions only
        loss = mcd.dice_and_cross_entropy(network(batch["image"]), batch["target"], known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        segmentation.append(loss.item())
print(f"Dice + cross-entropy: {segmentation[0]:.2f} -> {segmentation[-1]:.2f}")

# %% [markdown]
# ## A new patient
#
# Any NIfTI, NRRD, MetaImage or folder of DICOM slices. Here the test patient's slices are put together and written.

# %%
test = mcd.SliceDataset(made.shards, split.test[:1], ["A"], select="all")
volume = torch.cat([item["image"] for item in test]).numpy()
image = sitk.GetImageFromArray(100 + 20 * volume * (volume != 0))
image.SetSpacing((1.0, 1.0, 2.0))
sitk.WriteImage(image, str(run / "patient.nii.gz"))

model = mcd.load_model(run / "model.pt", device="cpu")
found = mcd.predict(model, {"A": run / "patient.nii.gz"}, largest_component=["core"], device="cpu")
print(found.millilitres, found.warnings)
found.save(run / "label.nii.gz")
