"""What can be computed and shown: tables, figures and claims by name, in the order of the page."""

from collections.abc import Container, Iterable, Mapping

from mcd.config import Config
from mcd.errors import McdError
from mcd.methods import METHODS
from mcd.plan import tables as score_tables
from mcd.plan.comparison import BY_DEFAULT, is_made
from mcd.plan.costs import costs
from mcd.plan.diagnosis import diagnosed
from mcd.plan.fusion import fusion_comparison
from mcd.plan.tables import comparisons
from mcd.plan.translations import translation_spec
from mcd.reporting.claims.sentences import read_claims

Kinds = frozenset[str]
"""The forms of a result: `table`, `picture`, `claims`, `diagnosis`."""


def reportable(config: Config) -> dict[str, Kinds]:
    """Name -> its forms, for everything that the key `report` may name. Tables come before figures."""
    tables = {*comparisons(config), *fusion_comparison(config)}
    tables |= {"table4"} if translation_spec(config) else set()
    tables |= {"table9"} if costs(config) else set()
    drawn = {"fig8", *(table.name for table in score_tables.SCORE_TABLES if table.picture)}
    pictures = {"fig2", "fig2_outlines", *(drawn & tables)}
    pictures |= {"fig3", "fig4"} if translation_spec(config) else set()
    kinds = {"table": tables, "picture": pictures}
    found = {
        name: frozenset(kind for kind, names in kinds.items() if name in names)
        for name in sorted(tables | pictures, key=lambda name: (name.startswith("fig"), name))
    }
    others = {
        "segmentations": "picture",
        "claims": "claims",
        **({"diagnosis": "diagnosis"} if diagnosed(config) else {}),
    }
    return {**found, **{name: frozenset({kind}) for name, kind in others.items()}}


def reported(config: Config, there: Mapping[str, Kinds]) -> list[str]:
    """What the page shows: what the key `report` names of `reportable`, in its order; else what of `BY_DEFAULT` is there."""
    if config.report is None:
        return [name for name in there if name in BY_DEFAULT]
    return _named(config, "report", list(there))


def check_reported(config: Config, shown: Iterable[str]) -> None:
    """Check that every pre-training of what the page shows can be trained with the configured options.

    Raises:
        McdError: if the options leave an ablation without a loss.
    """
    shown = set(shown)
    methods = {run.method for name, table in comparisons(config).items() if name in shown for run in table.runs}
    for name in sorted({name for method in methods if (name := METHODS[method].pretraining)}):
        try:
            config.check_pretraining(name)
        except ValueError as error:
            raise McdError(f"configuration: {error}") from None


def claimable(there: Mapping[str, Kinds]) -> dict[str, str]:
    """Table or figure of `reportable` that has numbers -> what its sentences cite in the paper."""
    return {name: source for name, source in _sources().items() if "table" in there.get(name, ())}


def claimed(config: Config, there: Mapping[str, str]) -> list[str]:
    """The tables and figures whose claims are tested: what the key `claims` names of `claimable`; else what is made anyway."""
    if config.claims is None:
        return [name for name in there if is_made(config, name)]
    return _named(config, "claims", list(there))


def claims_absent(there: Container[str], chosen: Container[str]) -> dict[str, str]:
    """Table or figure -> why its claims are not tested, or only as far as the runs of others allow."""
    why = {
        True: "not among the configuration's claims (`claims: all` trains what they take)",
        False: "not made as a table by this configuration",
    }
    return {name: f"{source} is {why[name in there]}" for name, source in _sources().items() if name not in chosen}


def _sources() -> dict[str, str]:
    """Table or figure -> what its sentences cite in the paper."""
    return {claim.table: claim.source for claim in read_claims()}


def _named(config: Config, key: str, there: list[str]) -> list[str]:
    names = getattr(config, key)
    if names == "all":
        return there
    unknown = [name for name in names if name not in there]
    if unknown:
        raise McdError(
            f"configuration: {key}: {', '.join(unknown)} is not produced by this configuration; there are {', '.join(there)}"
        )
    return [name for name in there if name in names]
