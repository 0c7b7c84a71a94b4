"""Learning to segment: supervised fine-tuning and the semi-supervised baselines, one file each; `registry` lists them."""
