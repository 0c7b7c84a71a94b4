"""Multi-ConDoS: multimodal contrastive domain sharing GANs for self-supervised medical image segmentation.

The package says *how* each stage of the workflow works; the Snakefile says *what depends on what*.
"""

__version__ = "0.1.0"
