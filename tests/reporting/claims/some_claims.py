"""Claims to test with: the paper's, and made-up ones."""

from mcd.reporting.claims.sentences import Claim, read_claims

CLAIMS = read_claims()


def claim(**changes: object) -> Claim:
    """One that holds where A is above B in every cell of Table II, but for what is given."""
    fields = {"number": 1, "section": "V", "sentence": "", "table": "table2", "metric": "DSC", "relation": "above"}
    return Claim(**{**fields, "over": "every", "left": ("A",), "right": ("B",), **changes})  # type: ignore[arg-type]
