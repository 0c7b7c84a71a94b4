"""Pre-training methods: one file each; `registry` lists them, `options` has what they let a configuration set."""
