"""Everything that a run has to show, in one HTML file that needs no other file and no network."""

import base64
import io
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import yaml
from PIL import Image

import mcd
from mcd.evaluation.metrics import METRICS
from mcd.evaluation.scores import read_scores
from mcd.files import atomic_path
from mcd.reporting.claims.sentences import PRINTED
from mcd.reporting.page.patients import Prediction, patients_in, scores_of, slices_of
from mcd.reporting.page.timing import read_benchmarks, summarise
from mcd.reporting.tables.spec import MEASURES
from mcd.slices.shards import Shards

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "h5py", "SimpleITK", "matplotlib", "snakemake")
VERDICTS = ("holds", "fails", "undecided", "not computed")
QC_WIDTH = 820  # pixels of a QC picture in the page: as wide as it is shown


@dataclass(frozen=True)
class PageCohort:
    """A cohort as the page speaks of it."""

    name: str
    title: str
    simulated: bool
    subjects: int
    modalities: Sequence[str]
    regions: Mapping[str, Sequence[int]]
    shards: Sequence[str | Path]
    facts: Mapping[str, str] = field(default_factory=dict)  # further rows of its description: heading -> words


@dataclass(frozen=True)
class PageContents:
    """What goes into the page. Paths are read when it is written."""

    title: str
    cohorts: Sequence[PageCohort]
    methods: Mapping[str, Mapping[str, str]]  # key in the score files -> "label", "group"
    scores: Sequence[str | Path]
    predictions: Sequence[Prediction]
    shown: str  # which runs the predictions are of, in words: "10 % of the labels, seed 0"
    ratio: float  # their label ratio
    reference: str | None = None  # key of the method whose outlines are shown first
    tables: Mapping[str, str | Path] = field(default_factory=dict)  # name -> page written by mcd.reporting.tables.html
    pictures: Mapping[str, str | Path] = field(default_factory=dict)  # name -> PNG
    captions: Mapping[str, str] = field(default_factory=dict)  # name of a picture -> its caption
    claims: str | Path | None = None
    absent: Sequence[str] = ()  # tables and figures that the configuration makes, and the page was not asked to show
    checks: Sequence[tuple[str, str, str | Path]] = ()  # (cohort, patient, QC picture)
    benchmarks: str | Path | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)


def write_page(contents: PageContents, path: str | Path, limit: int = 19_000_000) -> None:
    """Write the page, at most about `limit` bytes long.

    Where that is not enough, first QC pictures and then slices of the last patients are left out, and the page says so;
    tables, figures, claims and scores are always whole.
    """
    here = Path(__file__).parent
    views = [
        _view("overview", "Overview", _overview(contents)),
        *_table_views(contents),
        *_figure_view(contents),
        *_claims_view(contents),
    ]
    scores = scores_of(read_scores(contents.scores))
    texts = {name: (here / f"page.{name}").read_text(encoding="utf-8").strip() for name in ("html", "css", "js")}
    table_css = (here.parent / "tables" / "table.css").read_text(encoding="utf-8").strip()
    configuration = f'<pre tabindex="0" aria-label="configuration">{escape(_yaml(contents.configuration))}</pre>'
    used = sum(len(text) for _, _, text in views) + len(texts["css"]) + len(texts["js"]) + len(table_css)
    patients = _patients(contents, scores, limit - used)
    used += sum(map(len, patients.values()))
    views += [
        _view("patients", "Patients", (here / "patients.html").read_text(encoding="utf-8")),
        *_checks_view(contents, limit - used),
        _view("configuration", "Configuration", f"<h1>Configuration</h1>{configuration}"),
    ]
    text = Template(texts["html"]).substitute(
        title=escape(contents.title),
        badge=_badge(any(cohort.simulated for cohort in contents.cohorts)),
        style=f"{table_css}\n{texts['css']}",
        script=texts["js"],
        navigation=_navigation(views),
        views="\n".join(section for _, _, section in views),
        data=_json("page-data", _index(contents, scores)),
        patients="\n".join(patients.values()),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


View = tuple[str, str, str]  # id, words in the navigation, section


def _view(name: str, words: str, content: str) -> View:
    return (
        name,
        words,
        f'<section class="view" id="view-{escape(name)}" data-view="{escape(name)}">\n{content}\n</section>',
    )


def _navigation(views: Sequence[View]) -> str:
    return "\n".join(f'<a href="#{escape(name)}">{escape(words)}</a>' for name, words, _ in views)


def _badge(simulated: bool) -> str:
    return '<span class="badge">simulated</span>' if simulated else ""


def _json(name: str, content: Any) -> str:
    """JSON inside a page: no character of it can end the element, or start a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


def _yaml(configuration: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(configuration), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


# --- overview ---


def _overview(contents: PageContents) -> str:
    simulated = [cohort.title for cohort in contents.cohorts if cohort.simulated]
    warning = (
        f'<p class="notice"><strong>{escape(" and ".join(simulated))}: simulated patients.</strong> Their numbers and '
        "pictures exercise the software and say nothing about real patients or the paper’s results.</p>"
        if simulated
        else ""
    )
    absent = (
        f'<p class="hint">Not on this page: {escape(", ".join(contents.absent))}. The configuration’s key '
        "<code>report</code> says what is; with <code>all</code>, everything.</p>"
        if contents.absent
        else ""
    )
    heading = f"<h1>{escape(contents.title)}</h1>"
    return "\n".join([heading, warning, _cohort_table(contents), absent, *_times(contents), _versions()])


def _cohort_table(contents: PageContents) -> str:
    tested = patients_in(contents.predictions, [cohort.name for cohort in contents.cohorts])
    rows = []
    for cohort in contents.cohorts:
        held_out = sum(name == cohort.name for name, _ in tested)
        facts = {
            "Patients": f"{cohort.subjects}, {held_out} for testing",
            "Modalities": ", ".join(cohort.modalities),
            "Regions": ", ".join(cohort.regions),
            **cohort.facts,
        }
        rows.append((f"{escape(cohort.title)}{_badge(cohort.simulated)}", facts))
    heads = list(dict.fromkeys(head for _, facts in rows for head in facts))
    lines = [
        f'<tr><th scope="row" class="text">{name}</th>'
        + "".join(f'<td class="text">{escape(facts.get(head, ""))}</td>' for head in heads)
        + "</tr>"
        for name, facts in rows
    ]
    return "<h2>What was run</h2>" + _table(["Cohort", *heads], lines, text=len(heads) + 1)


def _times(contents: PageContents) -> Iterator[str]:
    if contents.benchmarks is None:
        return
    jobs = read_benchmarks(contents.benchmarks, [cohort.name for cohort in contents.cohorts])
    if jobs.empty:
        return
    titles = {cohort.name: cohort.title for cohort in contents.cohorts}
    yield f"<h2>Time that every stage took</h2><p>{len(jobs)} jobs, {_duration(jobs['seconds'].sum())} of work in all. "
    yield "Every job whose time this folder keeps, those of an earlier configuration too; jobs run side by side.</p>"
    stages = summarise(jobs, ["rule", "cohort"])
    yield _time_table(
        ["Stage", "Cohort"], [(row.rule, titles.get(row.cohort, "all"), row) for row in stages.itertuples()]
    )
    if len(trainings := jobs[jobs["detail"] != ""]):
        methods = summarise(trainings, ["detail", "rule", "cohort"])
        yield "<h2>Time that every training took</h2>"
        yield _time_table(
            ["Method", "Stage", "Cohort"],
            [
                (_label(row.detail, contents), row.rule, titles.get(row.cohort, "all"), row)
                for row in methods.itertuples()
            ],
        )


def _label(method: str, contents: PageContents) -> str:
    return contents.methods.get(method, {}).get("label", method)


def _time_table(heads: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = []
    for *names, row in rows:
        first, *others = (escape(str(name).replace("_", " ")) for name in names)
        memory = f"{row.mebibytes:,.0f}" if row.mebibytes >= 1 else ""
        lines.append(
            f'<tr class="run"><th scope="row" class="text">{first}</th>'
            + "".join(f'<td class="text">{name}</td>' for name in others)
            + f'<td data-value="{row.jobs}">{row.jobs}</td>'
            + "".join(
                f'<td data-value="{seconds:.3f}">{_duration(seconds)}</td>'
                for seconds in (row.total, row.mean, row.longest)
            )
            + f'<td data-value="{0 if pd.isna(row.mebibytes) else row.mebibytes:.1f}">{memory}</td></tr>'
        )
    return _table([*heads, "Jobs", "Total", "Mean", "Longest", "Peak MiB"], lines, text=len(heads))


def _duration(seconds: float) -> str:
    """Two units at most: 4.1 s, 3 min 20 s, 5 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _versions() -> str:
    found = {"mcd": mcd.__version__, "Python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(number)}</dd></div>" for name, number in found.items())
    return f'<h2>Versions</h2><p>Of the environment that wrote this page.</p><dl class="versions">{items}</dl>'


def _table(heads: Sequence[str], lines: Iterable[str], *, text: int = 1) -> str:
    """A plain sortable table; the first `text` columns hold words."""
    cells = "".join(
        f'<th scope="col"{" class=text" if place < text else ""}>{escape(head)}</th>'
        for place, head in enumerate(heads)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(heads[0])}"><table class="plain">\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


# --- tables, figures, claims ---


def _table_views(contents: PageContents) -> Iterator[View]:
    for name, path in contents.tables.items():
        if not name.startswith("fig"):
            yield _view(name, _table_words(name), _body(path))


def _table_words(name: str) -> str:
    """`table9` as the paper counts, `table_fusion` by its name."""
    return f"Table {PRINTED[name]}" if name in PRINTED else name.removeprefix("table").strip("_").capitalize()


def _body(path: str | Path, heading: str = "h1") -> str:
    """What a table's own page shows, to stand in this one."""
    found = re.search(r"<body[^>]*>(.*)</body>", Path(path).read_text(encoding="utf-8"), re.DOTALL)
    return re.sub(r"<(/?)h1>", rf"<\1{heading}>", found[1].strip()) if found else ""


def _figure_view(contents: PageContents) -> Iterator[View]:
    """Pictures in the given order, each with the numbers behind it where there is a table of the same name."""
    numbers = {name: path for name, path in contents.tables.items() if name.startswith("fig")}
    names = list(dict.fromkeys([*contents.pictures, *numbers]))
    if not names:
        return
    parts = []
    for name in names:
        label = re.sub(r"^Fig(?=\d)", "Fig. ", name.capitalize()).replace("_", ", ")
        caption = f"<b>{escape(label)}.</b> {escape(contents.captions.get(name, ''))}"
        if name in contents.pictures:
            picture = _picture(contents.pictures[name], label)
            parts.append(f'<figure id="{escape(name)}">{picture}<figcaption>{caption}</figcaption>')
        else:
            parts.append(f'<figure id="{escape(name)}"><figcaption>{caption}</figcaption>')
        if name in numbers:
            parts.append(f"<details><summary>Numbers</summary>{_body(numbers[name], 'h2')}</details>")
        parts.append("</figure>")
    yield _view("figures", "Figures", "<h1>Figures</h1>\n" + "\n".join(parts))


def _picture(path: str | Path, label: str) -> str:
    """A PNG at one scale with all others, whatever its resolution: 150 pixels of the screen an inch of print."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        width = round(image.width * 150 / image.info.get("dpi", (150, 150))[0])
    return f'<img src="{_data_url(content, "png")}" alt="{escape(label)}" style="width: {width}px">'


def _data_url(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _claims_view(contents: PageContents) -> Iterator[View]:
    """The claims as a table; rows can be filtered by what this run says, by what the print says, and by words."""
    if contents.claims is None:
        return
    claims = pd.read_csv(contents.claims, keep_default_na=False, dtype=str)
    titles = {cohort.name: cohort.title for cohort in contents.cohorts}
    simulated = [titles.get(name, name) for name in dict.fromkeys(" ".join(claims["simulated"]).split())]
    warning = (
        f'<p class="notice"><strong>{escape(" and ".join(simulated))}: simulated patients.</strong> What this run says to '
        "a sentence exercises the software and says nothing about the paper’s results.</p>"
        if simulated
        else ""
    )
    explained = (
        "<p>Each sentence of the paper that compares numbers, tested on this run’s test patients and on the numbers that the "
        "paper prints. A difference is positive where the sentence is right; below it its 95 % bootstrap interval over "
        "patients. A sentence holds or fails where the interval leaves no doubt; the print has no intervals, and its numbers "
        "are taken as they stand. “In every case” shows the worst case.</p>"
    )
    filters = _verdict_buttons("run", "this run", claims["verdict"]) + _verdict_buttons(
        "paper", "the paper’s numbers", claims["paper_verdict"]
    )
    heads = ["No.", "Section", "The paper’s sentence", "Metric", "This run", "Paper’s numbers"]
    heads += ["Difference", "Cases", "Paper’s difference", "Paper’s cases"]
    table = _table(heads, map(_claim_row, claims.to_dict("records")), text=6).replace("plain", "plain claims", 1)
    yield _view(
        "claims",
        "Claims",
        f"<h1>What the paper says, and what this run says to it</h1>\n{warning}{explained}"
        f'<div class="filter">{filters}<label>with the words <input type="search" id="claim-words"></label>'
        f'<output id="claim-count" aria-live="polite"></output></div>{table}',
    )


def _verdict_buttons(by: str, words: str, verdicts: pd.Series) -> str:
    known = [key for key in VERDICTS if by == "run" or key != "undecided"]  # the print has no intervals
    buttons = [("", "all", len(verdicts)), *((key, key, (verdicts == key).sum()) for key in known)]
    return (
        f'<div role="group" aria-label="verdict of {words}"><span>{words}</span> '
        + "".join(
            f'<button type="button" data-by="{by}" data-verdict="{key}" aria-pressed="{str(not key).lower()}">{name} '
            f"<small>{count}</small></button>"
            for key, name, count in buttons
        )
        + "</div>"
    )


def _claim_row(claim: Mapping[Any, str]) -> str:
    """A row: what is said, both verdicts with remarks, then the numbers behind them."""
    metric = MEASURES[claim["metric"]]

    def small(*texts: str) -> str:
        return "".join(f"<small>{escape(text)}</small>" for text in texts if text)

    def verdict(key: str, remark: str) -> str:
        kind = claim[key].replace(" ", "-")
        return f'<td class="text"><span class="verdict-{kind}">{claim[key]}</span>{small(claim[remark])}</td>'

    def difference(key: str, interval: str = "") -> str:
        if not claim[key]:
            return "<td></td>"
        number = f"{float(claim[key]):+.{metric.decimals}f}"
        return f'<td data-value="{claim[key]}">{number}{small(metric.unit, interval)}</td>'

    def cases(better: str, compared: str) -> str:
        if not claim[compared]:
            return "<td></td>"
        share = int(claim[better]) / int(claim[compared])
        return f'<td data-value="{share:.4f}">{claim[better]} of {claim[compared]}</td>'

    interval = ""
    if claim["ci_low"]:
        low, high = (f"{float(claim[end]):+.{max(1, metric.decimals - 1)}f}" for end in ("ci_low", "ci_high"))
        interval = f"{low} to {high}"
    cells = [
        f'<td data-value="{claim["number"]}" class="text">{claim["number"]}</td>',
        f'<td class="text">{escape(claim["section"])}{small(claim["source"])}</td>',
        f'<td class="text">{escape(claim["sentence"])}{small(claim["reading"], claim["note"])}</td>',
        f'<td class="text">{escape(metric.key)}</td>',
        verdict("verdict", "remark"),
        verdict("paper_verdict", "paper_remark"),
        difference("difference", interval),
        cases("better", "compared"),
        difference("paper_difference"),
        cases("paper_better", "paper_compared"),
    ]
    return f'<tr class="run" data-run="{claim["verdict"]}" data-paper="{claim["paper_verdict"]}">{"".join(cells)}</tr>'


# --- patients ---


def _index(contents: PageContents, scores: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """What the script needs before a patient is chosen."""
    tested = patients_in(contents.predictions, [cohort.name for cohort in contents.cohorts])
    return {
        "metrics": [
            {
                "key": metric.key,
                "label": metric.label,
                "unit": metric.unit,
                "decimals": metric.decimals,
                "higher": metric.higher_is_better,
            }
            for metric in METRICS
        ],
        "methods": contents.methods,
        "reference": contents.reference,
        "ratio": contents.ratio,
        "shown": contents.shown,
        "cohorts": {
            cohort.name: {
                "title": cohort.title,
                "simulated": cohort.simulated,
                "modalities": list(cohort.modalities),
                "regions": list(cohort.regions),
            }
            for cohort in contents.cohorts
        },
        "patients": [list(patient) for patient in dict.fromkeys([*tested, *scores])],
    }


def _patients(
    contents: PageContents, scores: Mapping[tuple[str, str], list[list[Any]]], room: int
) -> dict[tuple[str, str], str]:
    """(cohort, patient) -> its element, with slices while there is room: one patient of each cohort after another."""
    cohorts = {cohort.name: cohort for cohort in contents.cohorts}
    patients = patients_in(contents.predictions, list(cohorts))
    places = {patient: [other for other in patients if other[0] == patient[0]].index(patient) for patient in patients}
    bare = {patient: {"scores": rows} for patient, rows in scores.items()}
    elements = {patient: _json("/".join(patient), content) for patient, content in bare.items()}
    room -= sum(map(len, elements.values()))
    opened = {name: Shards(cohort.shards) for name, cohort in cohorts.items() if cohort.shards}
    try:
        for name, subject in sorted(patients, key=lambda patient: places[patient]):
            cohort = cohorts[name]
            runs = [run for run in contents.predictions if run.cohort == name]
            shown = [modality for modality in cohort.modalities if any(run.modality == modality for run in runs)]
            slices = slices_of(opened[name], subject, shown, cohort.regions, runs)
            element = _json(f"{name}/{subject}", {**bare.get((name, subject), {"scores": []}), **slices})
            room -= len(element)
            if room < 0:
                break
            elements[name, subject] = element
    finally:
        for shards in opened.values():
            shards.close()
    return elements


def _checks_view(contents: PageContents, room: int) -> Iterator[View]:
    """QC pictures, test patients' and others', as many as there is room for."""
    if not contents.checks:
        return
    titles = {cohort.name: cohort for cohort in contents.cohorts}
    parts: dict[str, list[str]] = {}
    left_out = 0
    for name, subject, path in contents.checks:
        source = _data_url(_small(path), "jpeg")
        room -= len(source)
        if room < 0:
            left_out += 1
            continue
        parts.setdefault(name, []).append(
            f'<figure><img src="{source}" alt="Preprocessed volumes of {escape(subject)} in three planes" loading="lazy">'
            f"<figcaption>{escape(subject)}</figcaption></figure>"
        )
    content = [
        "<h1>Preprocessed patients</h1><p>Each modality on the common grid with the label’s outline, in three planes: is "
        "the crop right, do the modalities fit?</p>"
    ]
    if left_out:
        content.append(
            f"<p>{left_out} pictures are left out to keep the page small; all are in <code>results/qc</code>.</p>"
        )
    content += [
        f'<h2>{escape(titles[name].title)}{_badge(titles[name].simulated)}</h2><div class="checks">{"".join(found)}</div>'
        for name, found in parts.items()
    ]
    yield _view("checks", "Preprocessing", "\n".join(content))


def _small(path: str | Path) -> bytes:
    """A picture as JPEG, no wider than it is shown."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((QC_WIDTH, 10 * QC_WIDTH))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue()
