"""What a reader sees: tables, figures and claims, from the scores that runs left behind (no training here)."""
