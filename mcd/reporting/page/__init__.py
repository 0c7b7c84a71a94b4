"""One self-contained page of a whole run: tables, figures, claims, every test patient, configuration and times."""
