"""Runs on disk: a typed view of one run's files, and the agreement of two runs cell by cell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import UserError
from bench.report._checked import check_cell, columns_of, read_resolved, read_summary, read_values, values_file
from bench.store.sums import Sums

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "Value", "agreement", "find_runs", "same_data"]

DEFAULT_GUIDANCE = 3.0
#: Parameters in which presets differ; the rest says what a cell measures.
PRESET_PARAMS = frozenset({"sampler", "samples"})
ROUNDING = 1e-6
_MISSING = object()


class Value(NamedTuple):
    """One number of a cell: its estimate, the 95 % interval, how many queries, and why there is none."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    why: str | None = None


class Run:
    """One run's folder, read lazily.

    Args:
        run_dir: `results/<suite>/<run-id>`.

    Raises:
        UserError: the folder holds no summary.json, or one that this version cannot read.
    """

    def __init__(self, run_dir: str | Path) -> None:
        self.folder = Path(run_dir)
        self._sums = Sums(self.folder)
        self._sums.check("summary.json")
        self.summary: dict[str, Any] = read_summary(self.folder)
        self.was_read: dict[str, set[str]] = {}
        """Columns that were read from the per-query file of each cell: what a copy of the run needs to keep."""

    def check(self, name: str) -> None:
        """Hold a file of the folder against its checksum; nothing where it has none.

        Raises:
            UserError: it differs.
        """
        self._sums.check(name)

    @property
    def suite(self) -> str:
        return str(self.summary["suite"])

    @property
    def metric_info(self) -> dict[str, dict[str, Any]]:
        return self.summary.get("metric_info", {})

    @property
    def preset(self) -> str:
        return str(self.summary["preset"])

    @property
    def claims(self) -> list[dict[str, Any]]:
        return self.summary.get("claims") or []

    @property
    def seed(self) -> int:
        """Seed of the first cell: a run of several seeds begins with its first."""
        return int(self.summary["cells"][0]["seed"]) if self.summary["cells"] else 0

    @cached_property
    def main(self) -> str:
        """Id of the suite's first retriever, the one that claims are about."""
        first = (self.resolved.get("retrievers") or [{}])[0].get("id")
        return str(first or next((c["retriever"] for c in self.summary["cells"]), ""))

    @cached_property
    def first_dataset(self) -> str:
        """Id of the suite's first dataset, which a claim means that names none."""
        return str(next((c["dataset"] for c in self.summary["cells"]), ""))

    @cached_property
    def is_negation(self) -> bool:
        """Whether queries are pairs of a caption and a negative."""
        cells = self.summary["cells"]
        if not cells:
            return False
        key, needed = cells[0]["key"], {"negative_id", "category"}
        found = needed & set(self._columns(key))
        self.was_read.setdefault(key, set()).update(found)
        return found == needed

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The resolved suite; empty where the folder has none."""
        self._sums.check("suite.resolved.yaml")
        return read_resolved(self.folder)

    @property
    def prompts(self) -> dict[str, Any]:
        """The prompt file of a control suite; empty where the datasets' captions are the prompts.

        Raises:
            UserError: the resolved suite holds something else there.
        """
        found = self.resolved.get("prompts") or {}
        if not isinstance(found, dict):
            raise UserError(f"{self.folder / 'suite.resolved.yaml'}: prompts: must be a mapping; run the suite again")
        return found

    @cached_property
    def guidance(self) -> float:
        """Guidance of the unmodified query: the suite's setting, else the paper's code's 3."""
        return float((self.resolved.get("settings") or {}).get("guidance", DEFAULT_GUIDANCE))

    def primary(self, modifier: str, options: Mapping[str, Any]) -> float | None:
        """The strength that the suite names as a method's primary one, or None."""
        for entry in self.resolved.get("modifiers") or []:
            given = entry.get("options") or {}
            if entry.get("name") == modifier and all(options.get(k) == v for k, v in given.items()):
                found = entry.get("primary")
                if found is not None:
                    return float(found)
        return None

    def is_unmodified(self, cell: Mapping[str, Any]) -> bool:
        """Whether a cell is the unmodified query at the suite's own guidance."""
        return cell["modifier"] == "none" and cell["params"].get("guidance", self.guidance) == self.guidance

    def cells(self, **filters: Any) -> list[dict[str, Any]]:
        """Cells whose fields or parameters equal the filters, in the run's order; None matches an absent one.

        Raises:
            UserError: no cell of the run has a field or parameter of that name.
        """
        cells: list[dict[str, Any]] = self.summary["cells"]
        known = {name for cell in cells for name in (*cell, *cell["params"])}
        unknown = sorted(name for name, wanted in filters.items() if name not in known and wanted is not None)
        if unknown and cells:
            raise UserError(
                f"{self.folder}: cells have no {', '.join(unknown)}; filter by one of {', '.join(sorted(known))}"
            )
        return [cell for cell in cells if all(_field(cell, name) == wanted for name, wanted in filters.items())]

    def value(self, cell: Mapping[str, Any] | None, metric: str) -> Value:
        """A metric of a cell; a cell or metric that is not there gives no number, and the reason."""
        if cell is None:
            return Value(None, why="not a cell of this run")
        entry = cell["metrics"].get(metric)
        if entry is None:
            return Value(None, why="not measured in this run")
        lo, hi = entry.get("ci") or (None, None)
        return Value(entry["value"], lo, hi, entry.get("n"), entry.get("why_null"))

    def per_query(self, key: str, columns: Iterable[str] | None = None) -> pd.DataFrame:
        """A row a query of one cell.

        Args:
            key: of the cell.
            columns: those to read, default all; a column that the file has not is left out.

        Raises:
            UserError: the file is missing or damaged.
        """
        file = values_file(self.folder, key)
        known = self._columns(key)
        wanted = known if columns is None else [name for name in dict.fromkeys(columns) if name in known]
        self.was_read.setdefault(key, set()).update(wanted)
        return read_values(file, wanted)

    def _columns(self, key: str) -> list[str]:
        file, name = values_file(self.folder, key), f"per_query/{key}.parquet"
        if name in self._sums.digests:
            self._sums.check(name)
        else:  # a run that has not been completed, or is being changed
            check_cell(self.folder, key)
        return columns_of(file, self.metric_info)


def _field(cell: Mapping[str, Any], name: str) -> Any:
    found = cell.get(name, _MISSING)
    return cell["params"].get(name) if found is _MISSING else found


def find_runs(results_dir: str | Path) -> list[Path]:
    """Folders of runs at or below a results folder, by name.

    Raises:
        UserError: there is none.
    """
    root = Path(results_dir)
    found = [root, *root.glob("*"), *root.glob("*/*")] if root.is_dir() else []
    runs = sorted({folder for folder in found if (folder / "summary.json").is_file()})
    if not runs:
        raise UserError(f"{root}: holds no results; run a suite first: bench run negative-prompting --out {root}")
    return runs


def same_data(cells: Iterable[Mapping[str, Any]], where: str) -> None:
    """Refuse cells of one dataset that were measured on different data.

    Raises:
        UserError: two data fingerprints would stand in one table.
    """
    seen: dict[str, str] = {}
    for cell in cells:
        first = seen.setdefault(cell["dataset"], cell["data_fingerprint"])
        if first != cell["data_fingerprint"]:
            raise UserError(
                f"{where}: cells of dataset {cell['dataset']!r} were measured on different data "
                f"({first} and {cell['data_fingerprint']}); run the suite again with --fresh"
            )


# --- agreement of two runs --------------------------------------------------------------------------------------------


def agreement(run_a: str | Path | Run, run_b: str | Path | Run) -> pd.DataFrame:
    """Compare two runs of a suite (quick and full): every metric of every cell that both have, and every claim.

    Args:
        run_a: a run or its folder.
        run_b: the other one.

    Returns:
        A row a comparison. Columns: kind (`metric` | `claim`), dataset, retriever, modifier, params, seed, item (metric
        key or claim id), a, a_lo, a_hi, n_a, b, b_lo, b_hi, n_b, verdict_a, verdict_b, agree. `agree` is whether the
        intervals overlap, or whether the verdicts are equal; None where there is nothing to compare: no number on one
        side, or a metric of a set (FAD, Vendi), which depends on n, at different n.

    Raises:
        UserError: the runs are of different suites, or of different data, or share no cell.
    """
    import pandas as pd

    a, b = _run(run_a), _run(run_b)
    if a.suite != b.suite:
        raise UserError(f"{a.folder} is a run of {a.suite!r}, {b.folder} one of {b.suite!r}; compare runs of one suite")
    same_data([*a.summary["cells"], *b.summary["cells"]], f"{a.folder} and {b.folder}")
    others = {_identity(cell): cell for cell in b.summary["cells"]}
    rows: list[dict[str, Any]] = []
    for cell in a.summary["cells"]:
        other = others.get(_identity(cell))
        # The very same cell (a replicate, which no preset changes) agrees with itself: that says nothing.
        if other is not None and (a is b or cell["key"] != other["key"] or not cell.get("replicate")):
            rows.extend(_compare_cell(a, b, cell, other))
    if not rows:
        raise UserError(f"{a.folder} and {b.folder} share no cell; compare two presets of the same suite")
    return pd.DataFrame([*rows, *_compare_claims(a, b)]).astype({"agree": object})


def _run(run: str | Path | Run) -> Run:
    return run if isinstance(run, Run) else Run(run)


def _params(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell["params"].items() if name not in PRESET_PARAMS}


def _identity(cell: Mapping[str, Any]) -> str:
    named = [cell[name] for name in ("dataset", "space", "retriever", "modifier", "seed")]
    return json.dumps([*named, _params(cell)], sort_keys=True)


def _compare_cell(a: Run, b: Run, cell: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    params = " ".join(f"{name}={value}" for name, value in sorted(_params(cell).items()))
    rows = []
    for metric in (name for name in a.metric_info if name in cell["metrics"] and name in other["metrics"]):
        one, two = a.value(cell, metric), b.value(other, metric)
        comparable = a.metric_info[metric].get("level") != "set" or one.n == two.n
        rows.append(
            {
                "kind": "metric", "dataset": cell["dataset"], "retriever": cell["retriever"],
                "modifier": cell["modifier"], "params": params, "seed": cell["seed"], "item": metric,
                "a": one.value, "a_lo": one.lo, "a_hi": one.hi, "n_a": one.n,
                "b": two.value, "b_lo": two.lo, "b_hi": two.hi, "n_b": two.n,
                "verdict_a": None, "verdict_b": None, "agree": _overlap(one, two) if comparable else None,
            }
        )  # fmt: skip
    return rows


def _overlap(one: Value, two: Value) -> bool | None:
    if one.lo is None or one.hi is None or two.lo is None or two.hi is None:
        return None
    # Where a value cannot vary (a query's cosine to itself), intervals have no width but rounding.
    return one.lo <= two.hi + ROUNDING and two.lo <= one.hi + ROUNDING


def _compare_claims(a: Run, b: Run) -> list[dict[str, Any]]:
    others = {claim["id"]: claim for claim in b.summary.get("claims", [])}
    rows = []
    for claim in a.summary.get("claims", []):
        other = others.get(claim["id"])
        if other is None:
            continue
        row: dict[str, Any] = {"kind": "claim", "item": claim["id"], "a": claim["effect"], "b": other["effect"]}
        row["a_lo"], row["a_hi"] = claim.get("ci") or (None, None)
        row["b_lo"], row["b_hi"] = other.get("ci") or (None, None)
        row.update(verdict_a=claim["verdict"], verdict_b=other["verdict"], agree=claim["verdict"] == other["verdict"])
        rows.append(row)
    return rows
