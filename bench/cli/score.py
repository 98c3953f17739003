"""`bench score`: metrics with intervals of a system of your own, from a run file or from arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.metrics.retrieval import Ties
    from bench.score import Ranked, Scores
    from bench.score._vectors import Similarity
    from bench.trec import PairValues

__all__ = ["app"]

app = typer.Typer(add_completion=False)

FORMATS = ("table", "json", "csv", "md")
TIES = ("mid", "min", "max")
HOW = "give --run FILE --qrels FILE, or --queries FILE.npy --gallery FILE.npy --relevant FILE.csv"
HELP = (
    "Score a system of your own: metrics with clustered 95 % intervals.\n\n"
    "From a run: bench score --run RUN --qrels FILE [--gallery N]\n\n"
    "From arrays: bench score --queries Q.npy --gallery G.npy --relevant R.csv [--reference REF.npy]\n\n"
    "A run is a TREC file (qid Q0 docid rank score tag) or CSV (query_id,item_id,score); qrels are a TREC file (qid 0 "
    "docid relevance) or CSV (query_id,item_id[,relevance]), where a relevance above 0 is relevant and nDCG takes it "
    "as the gain; .gz is read too. Items are ranked by score and the rank column is ignored, as trec_eval does; but "
    "equal scores share their mid-rank (--ties), where trec_eval orders them by id. With distinct scores trec_eval's "
    "recip_rank, success, map_cut and ndcg_cut are MRR, R@k, mAP@k and nDCG@k here, in percent.\n\n"
    "A run lists the top of each query only. A relevant item that it does not list has an unknown rank: a miss for "
    "R@k, 0 for MRR; MedR is n/a where that goes for half of the queries, and a metric at k where too few items are "
    "listed to tell. Queries of the qrels that the run lacks, and queries without a relevant item, count as misses; "
    "queries of the run without qrels are not scored. All of this is printed."
)


@dataclass(frozen=True)
class _Request:
    """What was asked for."""

    run: Path | None
    qrels: Path | None
    queries: Path | None
    gallery: str | None
    relevant: Path | None
    reference: Path | None
    query_ids: Path | None
    item_ids: Path | None
    similarity: str
    metrics: list[str] | None
    clusters: Path | None
    other: Path | None
    ties: str
    save_run: Path | None
    depth: int


@app.callback(invoke_without_command=True, help=HELP)
def score_(
    context: typer.Context,
    run: Annotated[Path | None, typer.Option("--run", help="A run: .csv, .tsv, else TREC.")] = None,
    qrels: Annotated[Path | None, typer.Option("--qrels", help="What is relevant: .csv, .tsv, else TREC.")] = None,
    queries: Annotated[Path | None, typer.Option("--queries", help="Query vectors (Q, d), .npy.")] = None,
    gallery: Annotated[
        str | None, typer.Option("--gallery", help="With --queries: gallery vectors (N, d), .npy. With --run: N.")
    ] = None,
    relevant: Annotated[
        Path | None,
        typer.Option("--relevant", help="With --queries: qrels by row number (query_index,item_index), or by ids."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="With --queries: vectors that FAD and KAD compare with, .npy.")
    ] = None,
    query_ids: Annotated[Path | None, typer.Option("--query-ids", help="Ids of the query rows, one a line.")] = None,
    item_ids: Annotated[Path | None, typer.Option("--item-ids", help="Ids of the gallery rows, one a line.")] = None,
    similarity: Annotated[str, typer.Option("--similarity", help="cosine, or dot of the rows as given.")] = "cosine",
    metrics: Annotated[str | None, typer.Option("--metrics", help='Such as "R@10,MRR,mAP@10,nDCG@10,MedR".')] = None,
    clusters: Annotated[
        Path | None, typer.Option("--clusters", help="CSV query_id,cluster_id: queries that belong together.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Another run (or with --queries other vectors, .npy), paired.")
    ] = None,
    ties: Annotated[str, typer.Option("--ties", help="Rank among equal scores: mid, min (best case) or max.")] = "mid",
    out: Annotated[Path | None, typer.Option("--out", help="Also write JSON to this file.")] = None,
    format_: Annotated[str, typer.Option("--format", help="What is printed: table, json, csv or md.")] = "table",
    save_run: Annotated[Path | None, typer.Option("--save-run", help="With --queries: write a TREC run.")] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Items a query in --save-run.")] = 1000,
) -> int:
    if context.invoked_subcommand is not None:
        return 0
    _one_of("--format", format_, FORMATS)
    _one_of("--ties", ties, TIES)
    _one_of("--similarity", similarity, ("cosine", "dot"))
    keys = None if metrics is None else [key.strip() for key in metrics.split(",") if key.strip()]
    request = _Request(
        run, qrels, queries, gallery, relevant, reference, query_ids, item_ids, similarity, keys, clusters, compare,
        ties, save_run, depth,
    )  # fmt: skip
    _check(request)
    scores = _from_run(request) if run is not None else _from_arrays(request)
    _report(scores, out, format_)
    return 0


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A run's folder, as `bench run` prints it.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the files.")],
    cell: Annotated[list[str] | None, typer.Option("--cell", help="Key of a cell; may be given again.")] = None,
) -> int:
    """Write the top 10 of a finished run as TREC files: one run a cell, qrels, and index.csv, which tells them apart.

    No scores are kept in a run's folder, so 10, 9, …, 1 stand for them. ir_measures, ranx and trec_eval read the files.
    """
    from bench.score import export_run

    for file in export_run(folder, out, cell):
        print(file)
    return 0


def _one_of(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{flag} {value}: choose one of {', '.join(choices)}")


def _check(request: _Request) -> None:
    """Flags that belong together."""
    by_run = {"--run": request.run, "--qrels": request.qrels}
    by_arrays = {
        "--queries": request.queries, "--relevant": request.relevant, "--reference": request.reference,
        "--query-ids": request.query_ids, "--item-ids": request.item_ids, "--save-run": request.save_run,
    }  # fmt: skip
    given = [name for name, value in {**by_run, **by_arrays}.items() if value is not None]
    if not given:
        raise UserError(f"nothing to score; {HOW}")
    if any(name in by_run for name in given) and any(name in by_arrays for name in given):
        raise UserError(f"{' and '.join(given)} do not go together; {HOW}")
    if given[0] in by_run:
        missing = [name for name, value in by_run.items() if value is None]
    else:
        wanted = {"--queries": request.queries}
        if request.reference is None or request.relevant or request.gallery or request.save_run:
            wanted |= {"--gallery": cast("Path | None", request.gallery), "--relevant": request.relevant}
        missing = [name for name, value in wanted.items() if value is None]
    if missing:
        raise UserError(f"{missing[0]} is missing; {HOW}")
    if request.other is not None and request.run is None and request.relevant is None:
        raise UserError("--compare is of rankings: it needs --gallery and --relevant too")


def _from_run(request: _Request) -> Scores:
    from bench.score import compare, rank_run, score
    from bench.trec import read_qrels, read_run

    assert request.run is not None
    assert request.qrels is not None
    size = _whole_number(request.gallery)
    qrels = read_qrels(request.qrels)
    ranked = rank_run(read_run(request.run), qrels, gallery=size)
    labels = _clusters(request.clusters, ranked.query_ids)
    scores = score(ranked, request.metrics, clusters=labels, ties=_ties(request))
    if request.other is None:
        return scores
    other = rank_run(read_run(request.other), qrels, gallery=size)
    pairs = compare(ranked, other, scores.metrics, clusters=labels, ties=_ties(request))
    return _compared(scores, other, pairs)


def _from_arrays(request: _Request) -> Scores:
    from bench._tables import read_lines
    from bench.score import load_vectors

    assert request.queries is not None
    queries = load_vectors(request.queries)
    names = {"queries": request.queries, "gallery": request.gallery, "reference": request.reference}
    files = ", ".join(str(file) for file in names.values() if file is not None)
    query_ids = read_lines(request.query_ids) if request.query_ids else None
    try:
        ranked_keys, set_keys = _split(request)
        labels: Any = None
        found = None
        if request.relevant is not None:
            found, labels = _ranked_scores(request, queries, query_ids, ranked_keys)
        elif request.clusters is not None:
            labels = _clusters(request.clusters, tuple(query_ids or map(str, range(len(queries)))))
        return _with_sets(request, found, queries, labels, set_keys)
    except ValueError as error:
        raise UserError(f"{files}: {error}") from error


def _split(request: _Request) -> tuple[list[str] | None, list[str] | None]:
    """Keys of rankings and of sets; None: the usual ones."""
    from bench.score import known_metrics, set_metrics

    if request.metrics is None:
        return None, None if request.reference is not None else []
    if not request.metrics:
        raise UserError(f"no metrics are asked for; known: {', '.join([*known_metrics(), *set_metrics()])}")
    of_sets = [key for key in request.metrics if request.relevant is None or key in set_metrics()]
    return [key for key in request.metrics if key not in of_sets], of_sets


def _ranked_scores(
    request: _Request, queries: Any, query_ids: list[str] | None, keys: list[str] | None
) -> tuple[Scores | None, Any]:
    """Scores of the ranking (None where only sets are asked for), and the clusters' labels."""
    from bench._tables import read_lines
    from bench.score import compare, judged, load_vectors, rank_arrays, save_run, score
    from bench.trec import read_qrels

    assert request.relevant is not None
    gallery = load_vectors(str(request.gallery))
    item_ids = read_lines(request.item_ids) if request.item_ids else None
    relevant = judged(read_qrels(request.relevant), query_ids, item_ids, (len(queries), len(gallery)))
    labels = _clusters(request.clusters, relevant.query_ids)
    similarity = cast("Similarity", request.similarity)
    if request.save_run is not None:
        save_run(
            request.save_run, queries, gallery, relevant.query_ids, relevant.item_ids, depth=request.depth,
            similarity=similarity, tag=request.save_run.name.partition(".")[0],
        )  # fmt: skip
    if keys == []:
        return None, labels
    ranked = rank_arrays(queries, gallery, relevant, similarity=similarity)
    scores = score(ranked, keys, clusters=labels, ties=_ties(request))
    if request.other is not None:
        other = _other(request.other, gallery, relevant, similarity)
        pairs = compare(ranked, other, scores.metrics, clusters=labels, ties=_ties(request))
        scores = _compared(scores, other, pairs)
    return scores, labels


def _other(file: Path, gallery: Any, relevant: PairValues, similarity: Similarity) -> Ranked:
    """The system that --compare names: other query vectors, or a run with the same ids."""
    from bench.score import load_vectors, rank_arrays, rank_run
    from bench.trec import read_run

    if file.suffix == ".npy":
        vectors = load_vectors(file)
        try:
            return rank_arrays(vectors, gallery, relevant, similarity=similarity)
        except ValueError as error:
            raise UserError(f"--compare {file}: {error}") from error
    return rank_run(read_run(file), relevant, gallery=len(gallery))


def _with_sets(request: _Request, found: Scores | None, queries: Any, labels: Any, keys: list[str] | None) -> Scores:
    """Metrics of the set of queries, after those of the ranking."""
    from bench.score import load_vectors, score_set

    if found is not None and keys == []:
        return found
    reference = None if request.reference is None else load_vectors(request.reference)
    of_set = score_set(queries, reference, keys, clusters=labels)
    if found is None:
        return of_set
    return replace(
        found, metrics={**found.metrics, **of_set.metrics}, metric_info={**found.metric_info, **of_set.metric_info},
        notes=(*found.notes, *of_set.notes),
    )  # fmt: skip


def _compared(scores: Scores, other: Ranked, pairs: dict[str, dict[str, Any]]) -> Scores:
    notes = (*scores.notes, *(f"the other system: {note}" for note in other.notes))
    return replace(scores, comparison=pairs, notes=notes)


def _ties(request: _Request) -> Ties:
    return cast("Ties", request.ties)


def _whole_number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--gallery {text}: with --run it is the number of items searched, a whole number from 1")
    return int(text)


def _clusters(file: Path | None, query_ids: tuple[str, ...]) -> list[str] | None:
    """Labels of the queries, in their order.

    Raises:
        UserError: a query without a cluster, or with two.
    """
    from bench._tables import read_table

    if file is None:
        return None
    found: dict[str, str] = {}
    for line, (query, cluster) in read_table(file, ["query_id", "cluster_id"]):
        if found.setdefault(query, cluster) != cluster:
            raise UserError(f"{file}:{line}: query {query!r} is in cluster {cluster!r} and in {found[query]!r}")
        if not cluster:
            raise UserError(f"{file}:{line}: query {query!r} has an empty cluster_id")
    missing = [query for query in query_ids if query not in found]
    if missing:
        raise UserError(f"{file}: {len(missing)} queries have no cluster (the first is {missing[0]!r}); add their rows")
    return [found[query] for query in query_ids]


def _report(scores: Scores, out: Path | None, format_: str) -> None:
    from bench.score import _output
    from bench.store import write_atomic

    if out is not None:
        write_atomic(out, _output.as_json(scores))
    if format_ == "table":
        _output.print_scores(scores)
    else:
        print({"json": _output.as_json, "csv": _output.as_csv, "md": _output.as_markdown}[format_](scores), end="")
