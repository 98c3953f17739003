"""`bench data`: render, describe and verify the embedded corpus."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import BenchError, EnvironmentFailure, UserError
from bench.store import write_atomic

if TYPE_CHECKING:
    from rich.table import Table

    from bench.datasets.gmcaps.corpus import Domain, Track

__all__ = ["app"]


class CorpusMismatch(BenchError):
    """What was rebuilt differs from what the bundle holds."""

    exit_code = 2


app = typer.Typer(help="Render, describe and verify datasets.", no_args_is_help=True)

_LOWEST_COSINE = 0.999


def _domain(name: str) -> Domain:
    from bench import registry
    from bench.datasets.gmcaps.corpus import DOMAINS, domain_named

    known = [f"gmcaps/{domain}" for domain in DOMAINS]
    if name not in known:
        raise UserError(registry.datasets.unknown(name, known))
    return domain_named(name.removeprefix("gmcaps/"))


def _split(domain: Domain, split: str | None) -> str:
    """The split asked for, or the domain's last one: test where there is one."""
    if split is not None and split not in domain.sizes:
        raise UserError(f"gmcaps/{domain.name} has no split {split!r}; use one of {', '.join(domain.sizes)}")
    return split or list(domain.sizes)[-1]


def _write_wav(job: tuple[str, str, int, str, int]) -> dict[str, Any]:
    """Render one track to a WAV file (through a temporary name) and return its line of the manifest."""
    import soundfile

    from bench.datasets.gmcaps.corpus import captions, compose_and_render, track

    domain, split, index, folder, sample_rate = job
    made = track(domain, split, index)
    name = f"{made.track_id}.wav"
    partial = Path(folder) / f".{name}.partial"
    soundfile.write(partial, compose_and_render(made, sample_rate=sample_rate), sample_rate, format="WAV")
    os.replace(partial, Path(folder) / name)
    return {
        "audio": f"audio/{name}",
        "captions": [{"text": c.text, "stated": list(c.stated)} for c in captions(made)],
        "split": split,
        "track_id": made.track_id,
        "truth": made.attributes.row(),
    }


def _progress(lines: Iterable[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    """The lines as they come, under a progress bar if a person is watching."""
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    yield from bar(lines, "rendering", total=total, console=console) if console.is_terminal else lines


@app.command()
def render(
    name: Annotated[str, typer.Argument(help="Dataset, for example gmcaps/sd.")],
    out: Annotated[Path, typer.Option(help="Folder for audio/ and manifest.jsonl.")],
    split: Annotated[str | None, typer.Option(help="Split; by default the domain's test split.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first tracks.")] = None,
    sample_rate: Annotated[int, typer.Option(min=8000, max=48000, help="In Hz.")] = 16000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Write a split as WAV files, with a manifest that holds captions and truth."""
    domain = _domain(name)
    split = _split(domain, split)
    total = min(limit or domain.sizes[split], domain.sizes[split])
    folder = out / "audio"
    jobs = [(domain.name, split, index, str(folder), sample_rate) for index in range(total)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if workers == 1:
            lines = list(_progress(map(_write_wav, jobs), total))
        else:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                lines = list(_progress(pool.map(_write_wav, jobs, chunksize=8), total))
        write_atomic(out / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    except FileExistsError as error:
        raise UserError(f"{error.filename}: not a folder; give another one with --out") from error
    except OSError as error:
        raise EnvironmentFailure(f"{out}: cannot write ({error}); free some space or give another --out") from error
    typer.echo(f"{total} tracks of gmcaps/{domain.name} ({split}): {out / 'manifest.jsonl'}")


def _attribute_table(tracks: list[Track]) -> Table:
    from rich.table import Table

    table = Table("attribute", "value", "tracks", "%", title="Truth")
    for attribute in ("genre", "mood", "lead", "accompaniment", "bass", "drums", "key", "mode", "tempo"):
        counts: Counter[str] = Counter()
        for made in tracks:
            value = getattr(made.attributes, attribute)
            counts.update(value if isinstance(value, tuple) else [str(value or "none")])
        for place, (word, count) in enumerate(counts.most_common()):
            table.add_row(attribute if place == 0 else "", word, str(count), f"{100 * count / len(tracks):.1f}")
    return table


def _caption_table(tracks: list[Track], style: str) -> Table:
    from rich.table import Table

    from bench.datasets.gmcaps.captions._statistics import REAL_STATISTICS, caption_statistics
    from bench.datasets.gmcaps.corpus import captions

    made = asdict(caption_statistics(c.text for t in tracks for c in captions(t)))
    real = asdict(REAL_STATISTICS[style]) if style in REAL_STATISTICS else {}
    table = Table("captions", style, *(["real captions"] if real else []), title="Captions")
    for field, value in made.items():
        table.add_row(field.replace("_", " "), f"{value:g}", *([f"{real[field]:g}"] if real else []))
    return table


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="Dataset, for example gmcaps/sd.")],
    split: Annotated[str | None, typer.Option(help="Split; by default the domain's test split.")] = None,
) -> None:
    """Print what a split holds: its size, its attributes, and its captions beside real ones."""
    from rich.console import Console

    from bench.datasets.gmcaps.corpus import caption_count, tracks

    domain = _domain(name)
    split = _split(domain, split)
    made = tracks(domain, split)
    n = sum(map(caption_count, made)) if domain.style else 0
    console = Console()
    console.print(
        f"gmcaps/{domain.name} ({split}): {len(made)} tracks of {domain.seconds:g} s, {n} captions; "
        f"law {domain.law}, rendering {domain.rendering}, caption style {domain.style or 'none'}"
    )
    console.print(_attribute_table(made))
    if domain.style is not None:
        console.print(_caption_table(made, domain.style))


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Dataset, for example gmcaps/sd.")],
    sample: Annotated[int, typer.Option(min=1, help="How many tracks to render anew.")] = 16,
    space: Annotated[str, typer.Option(help="Encoder whose bundled latents are checked.")] = "mini-clap",
) -> None:
    """Render some tracks anew, encode them, and compare with the bundled latents."""
    from bench.bundle.verify import verify_latents

    domain = _domain(name)
    found = verify_latents(f"gmcaps/{domain.name}", sample, space)
    if not found:
        raise UserError(f"gmcaps/{domain.name}: the bundle has no latents in {space} to compare with")
    worst_track, worst = min(found, key=lambda pair: pair[1])
    if not worst >= _LOWEST_COSINE:
        raise CorpusMismatch(
            f"gmcaps/{domain.name}: {worst_track} has cosine {worst:.4f} to its bundled {space} latent "
            f"(at least {_LOWEST_COSINE} is expected); compare the versions of tinysoundfont, numpy and scipy "
            "with those in the bundle's manifest"
        )
    typer.echo(f"gmcaps/{domain.name}: {len(found)} tracks in {space}, lowest cosine {worst:.6f} ({worst_track})")
