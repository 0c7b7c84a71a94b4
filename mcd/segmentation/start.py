"""What every fine-tuning begins with. No pydantic, no torch: texts about a run name it, too."""

FIRST_GUESS = 0.1
"""How probable every pixel of every region is before the training (`mcd.segmentation.supervised.guess_rarely`). Ours: with Lin
et al.'s 0.01, short trainings on CT learnt less, and those on brains as much (patients whom no study is judged by;
docs/explanation/results.md)."""
