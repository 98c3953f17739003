"""Build reports/ from nothing but the bundle: both presets, five seeds, and how far they agree.

Usage: python scripts/make_reports.py [--out reports] [--results results] [--skip-full]

Runs that are finished are found again and not repeated. Used by `make reports`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import bench
from bench.report._seeds import build_seeds
from bench.report.load import build_agreement

#: Suite -> presets that are published, and what is set beside them. Adaptation on PC is a matter of a few points in a
#: gallery of 5500, so the mismatch suite is published with all queries.
SUITES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "negative-prompting": (("quick", "full"), {}),
    "mismatch": (("quick",), {"queries": 5500}),
}
SEEDS = range(5)


def publish(result: bench.RunResult, out: Path) -> None:
    """Copy a run's page, figures and tables, and its summary, into the reports folder."""
    result.report()
    out.mkdir(parents=True, exist_ok=True)
    for name in ("report.md", "report.html", "summary.json"):
        shutil.copyfile(result.folder / name, out / name)
    for name in ("figures", "tables"):
        if (result.folder / name).is_dir():
            shutil.copytree(result.folder / name, out / name, dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--skip-full", action="store_true", help="quick runs and seeds only")
    args = parser.parse_args()
    lines = ["# Reports", "", "Every page is built by `make reports` from runs of the embedded default.", ""]
    for suite, (wanted, overrides) in SUITES.items():
        chosen = [preset for preset in wanted if preset == "quick" or not args.skip_full]
        presets = {preset: bench.run(suite, preset=preset, set=overrides, out=args.results) for preset in chosen}
        for preset, result in presets.items():
            publish(result, args.out / suite / preset)
            lines.append(f"- [{suite}, {preset}]({suite}/{preset}/report.md)")
        if "full" in presets:
            build_agreement(presets["quick"].folder, presets["full"].folder, args.out / suite / "agreement.md")
            lines.append(f"- [{suite}: agreement of quick and full]({suite}/agreement.md)")
    once = {"replicates": []}
    seeds = [bench.run("negative-prompting", seed=seed, set=once, out=args.results).folder for seed in SEEDS]
    build_seeds(seeds, args.out / "negative-prompting" / "seeds.md")
    lines.append("- [negative-prompting: verdicts over five seeds](negative-prompting/seeds.md)")
    (args.out / "index.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
