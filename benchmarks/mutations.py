"""Changes the package at random places, one at a time, and counts which changes its tests notice.

    python benchmarks/mutations.py --sample 200 --seed 1 --jobs 2
    python benchmarks/mutations.py --only mcd/pretraining/gl.py --sample 0
    python benchmarks/mutations.py --list --only mcd/losses

A mutant is the code with one small mistake: another operator or comparison, a number off by one or doubled, a term, an
argument, a statement, a slice or a function left out, two arguments or results swapped, a condition negated, `max` for `min`.
Each of the sample is tested in a temporary copy of the project, with the test files of its module (`TESTS`), until the first
failure or a time limit. What survives is printed with its difference. Not every survivor is a gap: some mutants behave like
the original (docs/explanation/mutations.md).

Verdicts are kept in `--results`: a run that was stopped goes on, and a run after new tests tries only what had survived.
Mutants are drawn by a digest of their own line, so a change of one module leaves the sample of the others as it was.
"""

import argparse
import ast
import difflib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ["mcd/pretraining", "mcd/segmentation", "mcd/losses", "mcd/evaluation", "mcd/imaging"]

REGISTRY, FINETUNING, SEMI = (
    "pretraining/test_registry.py",
    "segmentation/test_finetuning.py",
    "segmentation/test_semi_supervised.py",
)
PAPER, PRECISION, SCORES = (
    "losses/test_paper_losses.py",
    "losses/test_precision.py",
    "evaluation/test_scores.py",
)
CHECKERBOARDS, MASKED = (
    "imaging/test_registration.py::test_the_checkerboards_show_both_modalities_before_and_after",
    "imaging/test_registration.py::test_a_mask_says_what_is_registered",
)
TESTS: dict[str, list[str]] = {
    "pretraining/base": [REGISTRY],
    "pretraining/encoder_only": ["pretraining/test_byol.py", REGISTRY],
    "pretraining/options": [
        "test_reference.py",
        "pretraining/test_cpc.py",
        "pretraining/test_views.py",
        *(
            f"pretraining/test_{method}.py::test_one_loss_is_enough_and_none_is_refused"
            for method in ("dsgan", "vicreg")
        ),
        REGISTRY,
    ],
    "pretraining/whole_unet": ["pretraining/test_mae.py", "pretraining/test_volume_fusion.py"],
    "pretraining/registry": [REGISTRY, "test_extensions.py"],
    "pretraining/run": [REGISTRY, "test_extensions.py"],
    "segmentation/options": ["test_reference.py", SEMI],
    "segmentation/registry": [SEMI, FINETUNING, "test_extensions.py"],
    "segmentation/run": [FINETUNING, SEMI],
    "segmentation/transfer": [FINETUNING, REGISTRY],
    "losses/__init__": [PRECISION],
    "losses/adversarial": [PAPER, PRECISION, "pretraining/test_dsgan.py"],
    "losses/contrastive": [PAPER, PRECISION, "losses/test_cross_modal.py", "pretraining/test_dsgan.py"],
    "losses/segmentation": [PAPER, PRECISION, "segmentation/test_supervised.py"],
    "evaluation/metric": [SCORES, "test_extensions.py"],
    "evaluation/metrics": [SCORES, "evaluation/test_scores_against_libraries.py"],
    "evaluation/overlap": ["evaluation/test_overlap.py", "evaluation/test_scores_against_libraries.py"],
    "evaluation/score_rows": [SCORES, "reporting/tables/test_score_tables.py", "reporting/claims/test_judge.py"],
    "evaluation/surfaces": ["evaluation/test_surfaces.py", "evaluation/test_scores_against_libraries.py"],
    "imaging/contents": [
        "imaging/test_nifti.py",
        "imaging/test_nrrd_meta.py",
        "imaging/test_io.py",
        "imaging/test_dicom.py",
    ],
    "imaging/nifti": ["imaging/test_nifti.py", "imaging/test_io.py"],
    "imaging/options": ["test_reference.py", "imaging/test_preprocess.py"],
    "imaging/preprocess": ["imaging/test_preprocess.py", MASKED],
    "imaging/qc": ["imaging/test_qc.py", CHECKERBOARDS],
    "imaging/registration_summary": ["imaging/test_registration.py"],
    "imaging/write_volume": ["imaging/test_io.py", "imaging/test_raw.py"],
}
"""Module -> the tests, mostly whole files, that are to notice its mutants; for all others the file of the same name."""

METHODS = {"pretraining": ["pretraining/test_levels.py"], "segmentation": [SEMI], "losses": [PRECISION]}
"""Room -> what tests each of its modules that has test files of its own name, too."""

LIBRARIES = ["pytest", "numpy", "scipy.ndimage", "scipy.stats", "pandas", "torch", "SimpleITK", "nibabel"]
LIBRARIES += ["h5py", "pydantic", "pydicom", "matplotlib.pyplot", "PIL.Image", "yaml"]
"""What the tests import, loaded once."""

LEFT_BEHIND = (".*", "__pycache__", "work", "results", "runs", "site", "logs", "shared", "data")
"""Not copied."""

SAID = "said.txt"

BINARY = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARED: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
OPPOSITES = [
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("floor", "ceil"),
    ("any", "all"),
    ("sum", "mean"),
    ("cos", "sin"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("l1_loss", "mse_loss"),
    ("no_grad", "enable_grad"),
]
SYMMETRIC = {"min", "max", "minimum", "maximum", "isinstance", "isclose", "allclose", "array_equal"}
"""Functions whose arguments are not swapped: it changes nothing, or fails at once."""

LIKE_ITS_ARGUMENT = {
    *("abs", "sqrt", "square", "exp", "log", "tanh", "sigmoid", "relu", "normalize", "normalise"),
    *("round", "floor", "ceil", "clamp", "clamp_min", "clamp_max", "clip"),
    *("sorted", "set", "reversed", "flip", "roll", "rot90", "detach", "clone", "copy", "deepcopy"),
    *("strip", "lower", "upper", "casefold", "removeprefix", "removesuffix"),
}
"""Functions and methods that give something of the kind that they are given, and may be left out without an error."""

NO_ARGUMENTS = {"description", "device"}
"""Keywords that are not left out: text, and what makes a difference only on another device than the tests'."""

MODULES = {"torch", "np", "F", "math", "sitk", "ndimage", "copy"}

OTHER_NAME = dict(OPPOSITES) | {second: first for first, second in OPPOSITES}


@dataclass(frozen=True)
class Mutant:
    """One change: bytes `start` to `stop` of a module become `text`."""

    module: str
    line: int
    kind: str
    start: int
    stop: int
    text: str

    def applied_to(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.stop :]

    def difference(self, source: bytes) -> str:
        before, after = (code.decode().splitlines() for code in (source, self.applied_to(source)))
        changed = difflib.unified_diff(before, after, lineterm="", n=0)
        return "\n".join(line for line in islice(changed, 3, None) if not line.startswith("@@"))

    def rank(self, source: bytes, seed: int) -> str:
        """Where it comes in the order in which mutants are drawn."""
        own_line = source.splitlines()[self.line - 1].strip()
        return hashlib.sha256(repr((seed, self.module, own_line, self.kind, self.text)).encode()).hexdigest()


def mutants_of(module: str, source: bytes) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its lines."""
    starts = [0]
    for row in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    for node in _code(ast.parse(source)):
        for kind, place, new in _changes(node):
            start, stop = (
                starts[line - 1] + column
                for line, column in ((place.lineno, place.col_offset), (place.end_lineno, place.end_col_offset))
            )
            text = ast.unparse(new)
            if isinstance(new, ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp | ast.IfExp):
                text = f"({text})"  # whatever is beside it binds no closer than before
            if text != ast.unparse(place):
                yield Mutant(module, place.lineno, kind, start, stop, text)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes whose change may change what a program computes: no annotations, messages, logs, or type checks."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.JoinedStr | ast.Import):
            continue
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and _calls(node.value, "log.")):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child)


def _calls(node: ast.AST, prefix: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith(prefix)


def _changes(node: ast.AST) -> Iterator[tuple[str, Any, ast.AST]]:
    """(kind, the node that is replaced, what replaces it) of every change at a node."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if not any(map(_is_text, (left, right))):
            if type(op) in BINARY:
                yield "operator", node, ast.BinOp(left, BINARY[type(op)](), right)
                yield "term left out", node, left
                if isinstance(op, ast.Add | ast.Mult):
                    yield "term left out", node, right
        case ast.Compare(left=left, ops=[op], comparators=right):
            for other in COMPARED[type(op)]:
                yield "comparison", node, ast.Compare(left, [other()], right)
        case ast.BoolOp(op=op, values=values):
            yield "and, or", node, ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(operand=operand):
            yield "sign left out", node, operand
        case ast.Constant(value=bool(value)):
            yield "constant", node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", node, ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", node, ast.Constant(2 * value or 1.0)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield "condition negated", test, ast.UnaryOp(ast.Not(), test)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield "condition negated", test, ast.UnaryOp(ast.Not(), test)
        case ast.Call():
            yield from _changed_calls(node)
        case ast.Subscript(value=value, slice=ast.Slice(), ctx=ast.Load()):
            yield "slice left out", node, value
        case ast.Return(value=ast.Tuple(elts=[first, second]) as pair):
            yield "results swapped", pair, ast.Tuple([second, first], ast.Load())
        case ast.Assign(targets=[ast.Tuple(elts=[first, second]) as pair]):
            yield "results swapped", pair, ast.Tuple([second, first], ast.Store())
        case ast.Expr(value=ast.Call()) if not _calls(node.value, "log."):
            yield "statement left out", node, ast.Pass()
        case ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield "statement left out", node, ast.Pass()


def _changed_calls(call: ast.Call) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    match call.func:
        case ast.Name(id=name):
            renamed: ast.AST = ast.Name(OTHER_NAME.get(name, name))
            inner = call.args[0] if call.args else None
        case ast.Attribute(value=value, attr=name):
            renamed = ast.Attribute(value, OTHER_NAME.get(name, name))
            inner = call.args[0] if isinstance(value, ast.Name) and value.id in MODULES and call.args else value
        case _:
            return
    yield "function", call.func, renamed
    if name in LIKE_ITS_ARGUMENT and inner is not None:
        yield "function left out", call, inner
    match call.args:
        case [first, second, *others] if name not in SYMMETRIC:
            if not any(isinstance(each, ast.Starred | ast.Constant) for each in (first, second)):
                yield "arguments swapped", call, ast.Call(call.func, [second, first, *others], call.keywords)
    for keyword in call.keywords:
        if keyword.arg and keyword.arg not in NO_ARGUMENTS:
            rest = [each for each in call.keywords if each is not keyword]
            yield "argument left out", call, ast.Call(call.func, call.args, rest)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def tests_of(module: str) -> list[str]:
    """The tests, below the project, that are to notice a mutant of a module such as `mcd/losses/ntxent.py`."""
    name = module.removeprefix("mcd/").removesuffix(".py")
    room, _, stem = name.partition("/")
    files = TESTS.get(name) or [f"{room}/test_{stem}.py", *METHODS.get(room, [])]
    return [f"tests/{file}" for file in files]


class Tester:
    """Runs tests in copies of the project, one for each of `jobs` workers.

    Every run is forked from a process that has loaded the libraries, which takes longer than most tests.
    """

    def __init__(self, folder: Path, jobs: int, limit: float) -> None:
        self._limit = limit
        self._copies: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            shutil.copytree(ROOT, folder / str(job), ignore=shutil.ignore_patterns(*LEFT_BEHIND))
            self._copies.put(folder / str(job))
        self._sound: set[str] = set()
        self._written = count(int(time.time()) + 1)
        self._processes = get_context("forkserver")
        self._processes.set_forkserver_preload(LIBRARIES)

    def verdict(self, mutant: Mutant) -> dict[str, Any]:
        """Whether the tests notice a mutant, by which test, in how many seconds."""
        place = self._copies.get()
        file = place / mutant.module
        source = file.read_bytes()
        try:
            self._write(file, mutant.applied_to(source))
            start = time.monotonic()
            status, said = self._test(place, tests_of(mutant.module))
            seconds = time.monotonic() - start
            self._write(file, source)
            if status == 0:
                return {"caught": False, "by": "", "seconds": round(seconds, 1)}
            by = "time limit"
            if status is not None:
                failed = [
                    line.split()[1] for line in said.splitlines() if line.startswith(("FAILED tests/", "ERROR tests/"))
                ]
                by = failed[0].partition("[")[0] if failed else "an error at the start"
                self._check(place, by if failed else "", mutant.module)
            return {"caught": True, "by": by, "seconds": round(seconds, 1)}
        finally:
            self._write(file, source)
            self._copies.put(place)

    def _write(self, file: Path, code: bytes) -> None:
        """Each time with another modification time, so that no compiled file is taken for that of other code."""
        file.write_bytes(code)
        moment = next(self._written)
        os.utime(file, (moment, moment))

    def _check(self, place: Path, test: str, module: str) -> None:
        """A test that fails on the unchanged code, too, has noticed nothing."""
        if test not in self._sound or not test:
            status, said = self._test(place, [test] if test else tests_of(module))
            if status != 0:
                raise SystemExit(f"{test or module}: does not pass on the unchanged code:\n{said[-2000:]}")
            self._sound.add(test)

    def _test(self, place: Path, tests: list[str]) -> tuple[int | None, str]:
        """Pytest's exit status, None beyond the limit, and what it said."""
        process = self._processes.Process(target=run_pytest, args=(place, tests))
        process.start()
        process.join(self._limit)
        if process.exitcode is None:
            assert process.pid
            os.killpg(process.pid, signal.SIGKILL)  # and whatever a test has started
            process.join()
            return None, ""
        return process.exitcode, (place / SAID).read_text()


def run_pytest(place: Path, tests: list[str]) -> None:
    """In a process of its own: test the copy of the project in `place`, up to the first failure."""
    os.setsid()
    with (place / SAID).open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    os.chdir(place)
    os.environ |= {"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
    sys.path.insert(0, str(place))
    sys.dont_write_bytecode = False  # compiled once, in the copy
    sys.exit(int(import_module("pytest").main(["-x", "-q", "-p", "no:cacheprovider", *tests])))


def digest_of(files: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def identity_of(mutant: Mutant) -> dict[str, Any]:
    """What a verdict is about: the mutant, its module's code, and its tests with what they share."""
    tests = [ROOT / test.partition("::")[0] for test in tests_of(mutant.module)]
    common = sorted({*(ROOT / "tests").glob("*.py"), *(file.parent / "conftest.py" for file in tests)} - set(tests))
    return {
        "module": mutant.module,
        "line": mutant.line,
        "kind": mutant.kind,
        "start": mutant.start,
        "text": mutant.text,
        "code": digest_of([ROOT / mutant.module]),
        "tests": digest_of([*tests, *(file for file in common if file.exists())]),
    }


def known_verdicts(results: Path) -> Iterator[dict[str, Any]]:
    if results.exists():
        yield from map(json.loads, results.read_text().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="mutants to try; 0 for all (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--only", nargs="+", default=ROOMS, metavar="PATH", help="folders or modules to change")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a mutant counts as caught")
    parser.add_argument("--list", action="store_true", help="print the sample and test nothing")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "runs" / "mutations.jsonl")
    arguments = parser.parse_args()
    folders_and_files = [ROOT / path for path in arguments.only]
    modules = {module for path in folders_and_files for module in (path.rglob("*.py") if path.is_dir() else [path])}
    sources = {module.relative_to(ROOT).as_posix(): module.read_bytes() for module in sorted(modules)}
    everything = {mutant: source for module, source in sources.items() for mutant in mutants_of(module, source)}
    ranked = sorted(everything, key=lambda mutant: mutant.rank(everything[mutant], arguments.seed))
    sample = ranked[: arguments.sample or None]
    print(f"{len(sample)} of {len(everything)} mutants of {len(sources)} modules")
    verdicts = (
        dict.fromkeys(sample, False)
        if arguments.list
        else run(sample, arguments.results, arguments.jobs, arguments.limit)
    )
    for mutant in sorted(sample, key=lambda mutant: (mutant.module, mutant.start)):
        if not verdicts[mutant]:
            print(f"\n{mutant.module}:{mutant.line} {mutant.kind}\n{mutant.difference(everything[mutant])}")
    if not arguments.list:
        report(verdicts)


def run(sample: list[Mutant], results: Path, jobs: int, limit: float) -> dict[Mutant, bool]:
    """Mutant -> whether it was caught; those with a verdict that still holds are not tried again."""
    same = ("module", "kind", "start", "text", "code")
    known = {tuple(row[key] for key in same): row for row in known_verdicts(results)}  # the latest of each
    verdicts: dict[Mutant, bool] = {}
    results.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock()
    identities = {mutant: identity_of(mutant) for mutant in sample}  # of the files as they are copied

    def judge(mutant: Mutant) -> None:
        identity = identities[mutant]
        row = known.get(tuple(identity[key] for key in same))
        # a new test does not let go what another one caught
        if row is None or not (row["caught"] or row["tests"] == identity["tests"]):
            row = {**identity, **tester.verdict(mutant)}
            with lock, results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                "caught  " if row["caught"] else "SURVIVED",
                f"{mutant.module}:{mutant.line}",
                mutant.kind,
                row["by"],
                flush=True,
            )
        verdicts[mutant] = row["caught"]

    with tempfile.TemporaryDirectory() as folder:
        tester = Tester(Path(folder), jobs, limit)
        with ThreadPoolExecutor(jobs) as pool:
            try:
                list(pool.map(judge, sample))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return verdicts


def report(verdicts: dict[Mutant, bool]) -> None:
    """Print what was caught, of each room and of all."""
    tried = Counter(str(Path(mutant.module).parent) for mutant in verdicts)
    caught = Counter(str(Path(mutant.module).parent) for mutant, noticed in verdicts.items() if noticed)
    print()
    for room, number in sorted(tried.items()):
        print(f"{room:20} {caught[room]:4} of {number:4} caught")
    print(f"{'all':20} {caught.total():4} of {tried.total():4} caught, {caught.total() / tried.total():.1%}")


if __name__ == "__main__":
    main()
