"""The Python API: run a suite, load results, compare two runs (`import bench; bench.run("negative-prompting")`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunResult", "compare", "load", "run"]


class RunResult:
    """Results of a run, read from its folder.

    Attributes:
        folder: the run's folder, `results/<suite>/<run-id>/`.
    """

    def __init__(self, folder: str | Path) -> None:
        from bench.report.load import Run

        self.folder = Path(folder)
        if not (self.folder / "summary.json").is_file():
            raise UserError(f"{self.folder}: no summary.json there; give the folder of a finished run")
        self._run = Run(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json."""
        return self._run.summary

    def to_pandas(self) -> pd.DataFrame:
        """One row a cell and metric: what the cell is, value, interval, n, and why a value is missing."""
        import pandas as pd

        rows = []
        for cell in self.summary["cells"]:
            what = {k: cell[k] for k in ("key", "dataset", "space", "retriever", "modifier", "seed", "replicate")}
            what.update({f"params.{name}": value for name, value in cell["params"].items()})
            for key, entry in cell["metrics"].items():
                low, high = entry["ci"] or (None, None)
                rows.append(
                    {**what, "metric": key, "value": entry["value"], "lo": low, "hi": high, "n": entry["n"],
                     "why_null": entry["why_null"]}
                )  # fmt: skip
        return pd.DataFrame(rows)

    def per_query(self, key: str) -> pd.DataFrame:
        """Values per query of one cell, by its key.

        Raises:
            UserError: the run has no such cell, or its file is missing or damaged.
        """
        known = [cell["key"] for cell in self.summary["cells"]]
        if key not in known:
            raise UserError(
                f"{self.folder}: has no cell {key!r}; its keys are in .summary['cells'], such as {known[:1]}"
            )
        return self._run.per_query(key)

    def report(self) -> Path:
        """Write report.md, report.html and the figures; returns report.md."""
        from bench.report.build import build_report

        return build_report(self.folder)

    def _repr_html_(self) -> str:
        import pandas as pd

        frame = self.to_pandas()
        main = frame[~frame["replicate"]]
        labels = [c for c in ("dataset", "retriever", "modifier", *main.filter(like="params.").columns) if c in main]
        # A missing label would drop its row from the table.
        table = main.assign(**{c: ["" if pd.isna(v) else str(v) for v in main[c]] for c in labels})
        wide = table.pivot_table(index=labels, columns="metric", values="value", sort=False)
        return str(wide.round(3).to_html())

    def __repr__(self) -> str:
        return f"RunResult({str(self.folder)!r}, {len(self.summary['cells'])} cells)"


def run(
    suite: str | Path,
    *,
    preset: str = "quick",
    profile: str = "mini",
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
    fresh: bool = False,
) -> RunResult:
    """Run a suite by name or path and return its results.

    Args:
        suite: a suite file, or the name of a suite that comes with the harness.
        preset: `quick` or `full`.
        profile: what the suite's role names stand for.
        set: overrides, dotted path -> value, as `--set` takes them.
        seed: replaces the suite's seeds.
        out, threads, device: as the flags of `bench run`; None means the environment's or the default.
        fresh: compute everything again.

    Raises:
        UserError: the suite or a folder is not usable.
    """
    from bench.execute import RunOptions, run_suite
    from bench.settings import read_settings
    from bench.suite import load_suite

    overrides = dict(set or {})
    if seed is not None:
        overrides["seeds"] = [seed]
    settings = read_settings(out=out, threads=threads, device=device)
    loaded = load_suite(suite, profile=profile, preset=preset, overrides=overrides)
    options = RunOptions(
        out=settings.out, cache_dir=settings.cache_dir, threads=settings.threads, device=settings.device, fresh=fresh
    )
    return RunResult(run_suite(loaded, options))


def load(folder: str | Path) -> RunResult:
    """Results of a run that is on disk."""
    return RunResult(folder)


def compare(
    a: RunResult | str | Path,
    b: RunResult | str | Path | None = None,
    *,
    paired: bool = False,
    retrievers: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Two runs cell by cell: values, intervals, and whether they agree; or paired differences, query by query.

    Args:
        a: a run.
        b: another one; None compares two retrievers of `a`.
        paired: join the queries: difference b - a with interval, test, Holm's correction, detectable effect, and on how
            many queries b is better, as `bench compare` prints them. Takes seconds.
        retrievers: the one in `a` and the one in `b`; implies `paired`.
        metrics: keys, for paired differences; None takes all that both measure.

    Raises:
        UserError: the runs hold no cell in common, or were made on different data.
    """
    if b is None and retrievers is None:
        raise UserError("compare(a): name another run, or retrievers=(A, B) of this one")
    if b is None or paired or retrievers is not None:
        from bench.comparison import compare_runs

        other = None if b is None else _result(b)._run
        return compare_runs(_result(a)._run, other, retrievers=retrievers, metrics=metrics).frame()
    from bench.report.load import agreement

    return agreement(_result(a)._run, _result(b)._run)


def _result(run: RunResult | str | Path) -> RunResult:
    return run if isinstance(run, RunResult) else RunResult(run)
