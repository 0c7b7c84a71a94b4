"""Multi-ConDoS: multimodal contrastive domain sharing GANs for self-supervised medical image segmentation.

The package knows *how* each stage of the workflow works; the Snakefile knows *what depends on what*.
"""

__version__ = "0.1.0"
