"""What a run's page shows of single prompts: the tracks that each query found before and after it was modified.

The lists are in the run's per-query files; captions and true attributes are the dataset's, which is loaded again and
must be the one that was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import BenchError, UserError
from bench.report._format import cell_label, family_label
from bench.report._groups import Group, groups
from bench.report.load import Run

if TYPE_CHECKING:
    import pandas as pd

    from bench.protocols import Dataset

__all__ = ["Comparison", "Mark", "Method", "Prompt", "Unshown", "comparisons", "says"]

#: Attributes of a track in the order they are told, and the word before the value where it does not speak for itself.
SAID = (
    ("genre", ""), ("mood", ""), ("lead", "lead "), ("accompaniment", "with "), ("bass", ""), ("drums", "drums: "),
    ("bpm", ""), ("key", ""),
)  # fmt: skip
#: Value of an attribute that a track has not, such as its drums.
ABSENT = "none"


class Mark(NamedTuple):
    """Something that tracks are marked for: `negated: rock`, `wanted: happy`."""

    word: str
    value: str
    tracks: frozenset[str]
    good: bool


class Method(NamedTuple):
    """A modification that can be shown: its cell, and the cell of the query before it."""

    label: str
    family: str
    cell: int
    before: int
    is_primary: bool


@dataclass(frozen=True)
class Prompt:
    """A query, what was done to it, and what it found in each cell."""

    query_id: str
    part: str
    """Its category, its kind, or the instrument that was asked for: prompts can be filtered by it."""
    text: str
    verb: str
    edit: str
    target: str
    marks: tuple[Mark, ...]
    lists: Sequence[tuple[str, ...]]
    ranks: Sequence[float | None]
    given: str | None = None
    """The track that is the query, where the query is a track."""


@dataclass(frozen=True)
class Comparison:
    """The prompts of one dataset, retriever and seed."""

    title: str
    dataset: str
    cells: tuple[str, ...]
    """Label of each cell that is in the lists."""
    methods: tuple[Method, ...]
    prompts: tuple[Prompt, ...]
    total: int
    """Queries that were measured; `prompts` are some of them."""
    tracks: Mapping[str, str]
    """What is true of each track, in words."""
    default: int
    """The method that is shown first: the one that the suite's first claim is about, at its primary strength."""


class Unshown(NamedTuple):
    """Why the prompts of a group are not shown."""

    title: str
    why: str


def comparisons(run: Run, limit: int | None, primary_only: bool = False) -> list[Comparison | Unshown]:
    """What can be shown of a run: a comparison a group of cells; empty where the suite modifies nothing.

    Args:
        run: with its suite.resolved.yaml.
        limit: prompts a group, spread over negatives or refinements; None: all.
        primary_only: leave out the strengths beside each method's primary one.
    """
    prompts = run.prompts
    if not prompts or not run.resolved.get("datasets"):
        return []
    found: list[Comparison | Unshown] = []
    loaded: dict[str, Dataset | str] = {}
    for group in groups(run):
        if group.unmodified is None or not any(cell["modifier"] != "none" for cell in group.cells):
            continue
        if group.dataset not in loaded:
            loaded[group.dataset] = _load(run, group)
        dataset = loaded[group.dataset]
        title = f"{group.title}, seed {group.seed}"
        if isinstance(dataset, str):
            found.append(Unshown(title, dataset))
        else:
            found.append(_built(group, dataset, title, limit, primary_only))
    return found


def _built(group: Group, dataset: Dataset, title: str, limit: int | None, primary_only: bool) -> Comparison | Unshown:
    try:
        return _Builder(group, dataset, primary_only).build(title, limit)
    except _NotTold as unknown:
        return Unshown(title, f"{unknown}; run the suite again")
    except UserError:  # what is kept of a published run is only what its tables need
        return Unshown(title, "the run's folder does not hold the lists of tracks of every cell; run the suite again")


class _NotTold(Exception):
    """The per-query file names something that the suite or the dataset beside it does not have."""


def _named(known: Mapping[str, Any] | pd.Series, name: Any, what: str) -> Any:
    if name not in known:
        raise _NotTold(f"the run's queries name {what} {name!r}, which there is not")
    return known[name]


def _load(run: Run, group: Group) -> Dataset | str:
    """The dataset of a group, or why its captions and truth cannot be told."""
    from bench import registry

    ref = next((ref for ref in run.resolved["datasets"] if ref["id"] == group.dataset), None)
    if ref is None:
        return f"suite.resolved.yaml has no dataset {group.dataset!r}"
    try:
        dataset: Dataset = registry.datasets.get(ref["name"])().load(**(ref.get("options") or {}))
    except (BenchError, OSError) as error:
        return f"the dataset cannot be loaded here ({error})"
    if dataset.fingerprint != group.cells[0]["data_fingerprint"]:
        return f"dataset {ref['name']!r} is another one here than the one that was measured"
    return dataset


class _Builder:
    """Makes the comparison of one group."""

    def __init__(self, group: Group, dataset: Dataset, primary_only: bool) -> None:
        self.group, self.dataset, self.run = group, dataset, group.run
        self.prompts: Mapping[str, Any] = self.run.prompts
        self.cells: list[Mapping[str, Any]] = []
        self.methods = self._methods(primary_only)
        self.texts = dataset.captions.set_index("caption_id")["text"]

    # --- cells ---

    def _place(self, cell: Mapping[str, Any]) -> int:
        if cell not in self.cells:
            self.cells.append(cell)
        return self.cells.index(cell)

    def _methods(self, primary_only: bool) -> list[Method]:
        made = []
        for members in self.group.families():
            primary = self.group.primary_of(members)
            family = family_label(members[0]["modifier"], members[0]["params"])
            for cell in [primary] if primary_only else members:
                before = self._place(self._before(cell))
                label = cell_label(cell, self.run.guidance)
                made.append(Method(label, family, self._place(cell), before, cell is primary))
        return made

    def _default(self) -> int:
        """The method of the suite's first claim; else the suite's first."""
        claims = self.run.resolved.get("claims") or [{}]
        wanted = (claims[0].get("a") or {}).get("modifier")
        primaries = [at for at, method in enumerate(self.methods) if method.is_primary]
        named = [at for at in primaries if self.cells[self.methods[at].cell]["modifier"] == wanted]
        return (named or primaries or [0])[0]

    def _before(self, cell: Mapping[str, Any]) -> Mapping[str, Any]:
        """The unmodified query that a modification is measured against, at its guidance if the run has it."""
        from bench import registry

        assert self.group.unmodified is not None
        options = {k: v for k, v in cell["params"].items() if k not in ("strength", "sampler", "samples", "guidance")}
        try:
            modifier = registry.modifiers.get(cell["modifier"])(**options)
            guidance = modifier.guidance_before(cell["params"].get("strength"), self.run.guidance)
        except (BenchError, TypeError):  # a plugin that is not here, or no longer takes these options
            return self.group.unmodified
        plain = (c for c in self.group.cells if c["modifier"] == "none" and c["params"].get("guidance") == guidance)
        return next(plain, self.group.unmodified)

    # --- prompts ---

    def build(self, title: str, limit: int | None) -> Comparison:
        base = self.run.per_query(self._key(self.group.unmodified))
        chosen = base.iloc[_spread(base, limit)].reset_index(drop=True)
        found = [self._found(cell, chosen["query_id"]) for cell in self.cells]
        seen = {track for lists, _ in found for tracks in lists for track in tracks} | set(chosen["relevant_id"])
        seen |= set(chosen["cluster_id"]) & set(self.dataset.track_ids)
        truth = self._truth(seen)
        describe = self._describer(truth, seen)
        rows = []
        for at, record in enumerate(chosen.to_dict("records")):
            row = {str(name): value for name, value in record.items()}
            lists, ranks = [lists[at] for lists, _ in found], [ranks[at] for _, ranks in found]
            rows.append(Prompt(str(row["query_id"]), **describe(row), lists=lists, ranks=ranks))
        return Comparison(
            title, self.dataset.name, tuple(cell_label(cell, self.run.guidance) for cell in self.cells),
            tuple(self.methods), tuple(rows), len(base), says(truth, sorted(seen)), self._default(),
        )  # fmt: skip

    @staticmethod
    def _key(cell: Mapping[str, Any] | None) -> str:
        assert cell is not None
        return str(cell["key"])

    def _found(self, cell: Mapping[str, Any], queries: pd.Series) -> tuple[list[tuple[str, ...]], list[float | None]]:
        """Lists and ranks of the chosen queries in one cell."""
        frame = self.run.per_query(self._key(cell), ("query_id", "rank", "top_10")).set_index("query_id")
        if "top_10" not in frame or "rank" not in frame:
            raise UserError(f"{self.run.folder}: cell {cell['key']} has no lists of tracks; run the suite again")
        frame = frame.reindex(queries)
        lists = [tuple(map(str, top)) if _is_list(top) else () for top in frame["top_10"]]
        return lists, [None if rank != rank else float(rank) for rank in frame["rank"]]

    def _truth(self, seen: set[str]) -> pd.DataFrame | None:
        """The truth of the dataset's tracks, and of the twins of tracks that are among those seen."""
        import pandas as pd

        from bench.tasks.track_editing import twin_truth

        truth = self.dataset.truth
        twins = sorted(seen - set(self.dataset.track_ids))
        if truth is None or not twins or not self.prompts.get("track_edits"):
            return truth
        tracks = [name.partition("~")[0] for name in twins]
        return twin_truth(truth, pd.DataFrame({"twin_id": twins, "track_id": tracks, "row": range(len(twins))}))

    def _describer(self, truth: pd.DataFrame | None, seen: set[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """From a row of the per-query file to what a prompt says, by the kind of the suite's prompts."""
        marks = _Marks(truth, seen)
        if self.prompts.get("negatives"):
            negatives = {negative["id"]: negative for negative in self.prompts["negatives"]}
            return lambda row: self._negation(row, _named(negatives, row["negative_id"], "the negative"), marks)
        if self.prompts.get("refinements"):
            refinements = {refinement["id"]: refinement for refinement in self.prompts["refinements"]}
            return lambda row: self._refinement(row, _named(refinements, row["query_id"], "the refinement"), marks)
        phrasings = {phrasing["id"]: phrasing["text"] for phrasing in self.prompts["track_edits"]}
        first = self.dataset.captions.drop_duplicates("track_id").set_index("track_id")["text"]
        return lambda row: self._track_edit(
            row, _named(phrasings, row["phrasing"], "the phrasing"), str(_named(first, row["cluster_id"], "the track")),
            marks,
        )  # fmt: skip

    def _negation(self, row: Mapping[str, Any], negative: Mapping[str, Any], marks: _Marks) -> dict[str, Any]:
        caption = str(row["query_id"]).rpartition("|")[0]
        return {
            "part": negative["category"], "text": str(_named(self.texts, caption, "the caption")), "verb": "without",
            "edit": negative["text"], "target": row["relevant_id"],
            "marks": (marks("negated", negative["where"], good=False),),
        }  # fmt: skip

    def _refinement(self, row: Mapping[str, Any], refinement: Mapping[str, Any], marks: _Marks) -> dict[str, Any]:
        wanted = marks("wanted", refinement["gained"], good=True)
        lost = refinement.get("lost")
        return {
            "part": refinement["kind"], "text": refinement["prompt"], "verb": "changed to",
            "edit": refinement["edit"], "target": row["relevant_id"],
            "marks": (wanted, marks("no longer wanted", lost, good=False)) if lost else (wanted,),
        }  # fmt: skip

    def _track_edit(self, row: Mapping[str, Any], phrasing: str, caption: str, marks: _Marks) -> dict[str, Any]:
        instrument = row["negative_id"]
        edit = phrasing.format(instrument=instrument, caption=caption.rstrip(". "))
        wanted = marks("wanted", [{"attribute": "instrument", "in": [instrument]}], good=True)
        return {
            "part": instrument, "text": caption, "verb": "this track, but", "edit": edit,
            "target": row["relevant_id"], "marks": (wanted,), "given": row["cluster_id"],
        }  # fmt: skip


@dataclass
class _Marks:
    """Which of the tracks that are shown satisfy some statements."""

    truth: pd.DataFrame | None
    seen: set[str]
    known: dict[str, Mark] = field(default_factory=dict)

    def __call__(self, word: str, where: Sequence[Mapping[str, Any]], good: bool) -> Mark:
        name = repr((word, where))
        if name not in self.known:
            self.known[name] = Mark(word, " and ".join(map(_said, where)), self._holding(where), good)
        return self.known[name]

    def _holding(self, where: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        import numpy as np

        from bench.datasets.predicates import Predicate

        if self.truth is None:
            return frozenset()
        holds = np.logical_and.reduce([Predicate.parse(predicate).holds(self.truth) for predicate in where])
        return frozenset(self.truth["track_id"][holds]) & self.seen


def _said(predicate: Mapping[str, Any]) -> str:
    """A predicate in words: `rock or blues`, `no flute`, `drums` (any), `no drums`, `at least 115 bpm`."""
    name = str(predicate["attribute"])
    parts = []
    for key, before in (("in", ""), ("not_in", "no ")):
        values = predicate.get(key) or []
        if list(values) == [ABSENT]:
            parts.append(name if before else f"no {name}")
        elif values:
            parts.append(before + " or ".join(f"no {name}" if value == ABSENT else str(value) for value in values))
    if predicate.get("min") is not None:
        parts.append(f"at least {predicate['min']:g} bpm")
    if predicate.get("max") is not None:
        parts.append(f"at most {predicate['max']:g} bpm")
    return ", ".join(parts)


def says(truth: pd.DataFrame | None, tracks: Sequence[str]) -> dict[str, str]:
    """What is true of each track, in words; an attribute that a truth table has not is left out."""
    if truth is None:
        return dict.fromkeys(tracks, "truth not known")
    rows = truth[truth["track_id"].isin(set(tracks))].to_dict("records")
    known = {str(row["track_id"]): " · ".join(_attributes(row)) for row in rows}
    return {track: known.get(track, "truth not known") for track in tracks}


def _attributes(row: Mapping[Any, Any]) -> list[str]:
    found = []
    for name, before in SAID:
        value: Any = row.get(name)
        text = ", ".join(map(str, value)) if _is_list(value) else "" if value is None or value != value else str(value)
        if name == "bpm" and text:
            text += "\N{NO-BREAK SPACE}bpm"
        elif name == "key" and text:
            text = f"{text}\N{NO-BREAK SPACE}{row.get('mode') or ''}".strip()
        if text == ABSENT:
            found.append(f"no {name}")
        elif text:
            found.append(before + text)
    return found


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def _spread(frame: pd.DataFrame, limit: int | None) -> list[int]:
    """Rows of some queries, evenly over the negatives (or over all queries, where each stands for itself)."""
    import numpy as np

    n = len(frame)
    if limit is None or limit >= n:
        return list(range(n))
    if "negative_id" not in frame:
        return [int(row) for row in np.linspace(0, n - 1, limit).round()]
    turn = frame.groupby("negative_id", sort=False).cumcount().to_numpy()
    chosen: list[int] = []
    for now in range(int(turn.max()) + 1):
        rows, room = np.flatnonzero(turn == now), limit - len(chosen)
        if room < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, room).round().astype(int)]
        chosen += [int(row) for row in rows]
        if len(chosen) >= limit:
            break
    return sorted(chosen)
