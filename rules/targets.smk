"""What is asked for on the command line is looked up once all rules are known: a mistyped path is named with the nearest one."""

from snakemake.cli import get_argument_parser


def asked_targets():
    """The targets on the command line, if one has started this: Snakemake tells a workflow of them only after it was read."""
    started = Path(sys.argv[0])
    if not workflow.is_main_process or "snakemake" not in (started.name, started.parent.name):
        return []
    return get_argument_parser().parse_known_args(sys.argv[1:])[0].targets


def known_targets():
    """The names of rules, and the results that this configuration makes, by path."""
    tables = [*COMPARISONS, *(name for name, kinds in KINDS.items() if "table" in kinds)]
    yield from (fix(place, table=name) for name in tables for place in (TABLE, LONG_TABLE, TABLE_PAGE))
    yield from (path for files in REPORTABLE.values() for path in files.values())
    yield from (fix(BY_TRAIT, trait=trait) for trait in TRAITS)
    for own in workflow.rules:
        yield own.name
        yield from (str(path) for path in own.output if "{" not in str(path))


for target in asked_targets():
    made = any(target == own.name or own.is_producer(target.removeprefix("./")) for own in workflow.rules)
    if not (made or Path(target).exists() or Path(target).is_absolute()):
        hint = nearest(target, set(known_targets())) or "; snakemake --list-target-rules names what can be asked for"
        sys.exit(f"error: {target}: nothing makes it with this configuration{hint}")
