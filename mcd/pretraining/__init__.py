"""Pre-training methods: one file each; `registry` lists them, `options` has their options."""
