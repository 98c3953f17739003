"""Protocols on six captions of four tracks, written by hand in Song Describer's layout."""

from __future__ import annotations

import csv
import io
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.pairing import Pairing, pair_captions
from bench.metrics.retrieval import recall_at_k, relevant_ranks

CSV = """caption_id,track_id,caption,is_valid_subset,familiarity,artist_id,album_id,path,duration
1,30,"a calm, slow piano piece",True,0,7,70,30/30.mp3,120.0
2,10,a rock song,,1,8,80,10/10.mp3,130.5
3,30,piano with rain,True,2,7,70,30/30.mp3,120.0
4,20,techno,False,0,9,90,20/20.mp3,99.9
5,10,loud guitars,True,0,8,80,10/10.mp3,130.5
6,30,a sad piano,,1,7,70,30/30.mp3,120.0
"""
ROWS = list(csv.DictReader(io.StringIO(CSV)))
OWNERS = [row["track_id"] for row in ROWS]
VALID = [row["is_valid_subset"] == "True" for row in ROWS]
TRACKS = ["10", "20", "30", "40"]


def pair(protocol: str, direction: str) -> Pairing:
    return pair_captions(OWNERS, TRACKS, protocol=protocol, direction=direction, valid=VALID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "direction", "queries", "gallery", "relevant", "clusters"),
    [
        ("track", "text-to-audio", [0, 1, 2, 3, 4, 5], [0, 1, 2, 3], [[2], [0], [2], [1], [0], [2]], OWNERS),
        ("track", "audio-to-text", [0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [[1, 4], [3], [0, 2, 5], []], TRACKS),
        ("strict_rows", "text-to-audio", range(6), [2, 0, 2, 1, 0, 2], [[i] for i in range(6)], OWNERS),
        ("strict_rows", "audio-to-text", [2, 0, 2, 1, 0, 2], range(6), [[i] for i in range(6)], OWNERS),
        ("valid", "text-to-audio", [0, 2, 4], [0, 2], [[1], [1], [0]], ["30", "30", "10"]),
        ("valid", "audio-to-text", [0, 2], [0, 2, 4], [[2], [0, 1]], ["10", "30"]),
    ],
)
def test_protocols_by_hand(
    protocol: str, direction: str, queries: object, gallery: object, relevant: list[list[int]], clusters: list[str]
) -> None:
    pairing = pair(protocol, direction)
    np.testing.assert_array_equal(pairing.queries, list(queries))  # type: ignore[call-overload]
    np.testing.assert_array_equal(pairing.gallery, list(gallery))  # type: ignore[call-overload]
    assert [items.tolist() for items in pairing.relevant] == relevant
    assert pairing.clusters.tolist() == clusters
    assert (pairing.protocol, pairing.direction, pairing.n_gallery) == (protocol, direction, len(pairing.gallery))
    assert pairing.n_unanswerable == sum(not items for items in relevant)


@pytest.mark.parametrize("direction", ["text-to-audio", "audio-to-text"])
@pytest.mark.parametrize("protocol", ["track", "strict_rows", "valid"])
@pytest.mark.parametrize("k", [1, 2, 3, 6, 99])
def test_chance_is_the_mean_over_all_orders(protocol: str, direction: str, k: int) -> None:
    pairing = pair(protocol, direction)
    hits = [
        [bool(set(order[:k]) & set(items.tolist())) for items in pairing.relevant]
        for order in permutations(range(pairing.n_gallery))
    ]
    assert pairing.chance(k) == pytest.approx(100 * np.mean(hits))


def test_the_size_of_song_describer_gives_its_chance_level() -> None:
    owners = [*range(706), *range(400)]
    assert pair_captions(owners, range(706)).chance(10) == pytest.approx(1000 / 706)
    assert pair_captions(owners, range(706), protocol="strict_rows").chance(10) == pytest.approx(1000 / 1106)


@pytest.mark.parametrize("direction", ["text-to-audio", "audio-to-text"])
def test_a_perfect_scorer_and_the_ties_of_repeated_rows(direction: str) -> None:
    vector = np.eye(4)
    side = {"text-to-audio": [vector[[TRACKS.index(name) for name in OWNERS]], vector]}
    side["audio-to-text"] = side["text-to-audio"][::-1]
    queries, gallery = side[direction]

    def ranks(protocol: str) -> np.ndarray:
        pairing = pair(protocol, direction)
        return relevant_ranks(queries[pairing.queries], gallery[pairing.gallery], pairing.relevant)

    if direction == "text-to-audio":
        np.testing.assert_array_equal(ranks("track"), 1.0)
    else:
        with pytest.warns(UserWarning, match="1 of 4 queries have no relevant item, the first is query 3"):
            assert recall_at_k(ranks("track"), 6) == 75.0
    np.testing.assert_array_equal(ranks("valid"), 1.0)
    # Tracks with three, two and one captions: the own row ties with its copies.
    np.testing.assert_array_equal(ranks("strict_rows"), [2.0, 1.5, 2.0, 1.0, 1.5, 2.0])


def test_ids_of_any_kind_are_kept() -> None:
    assert pair_captions(np.array([3, 3, 5]), np.array([5, 3])).clusters.tolist() == [3, 3, 5]
    assert pair_captions([("a", 1), 7], [7, ("a", 1)]).clusters.tolist() == [("a", 1), 7]
    assert pair_captions(["b"], ["a", "b"], protocol="valid", valid=np.array([True], object)).gallery.tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_directions_mirror_each_other(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    owners = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=12))
    valid = [True, *data.draw(st.lists(st.booleans(), min_size=len(owners) - 1, max_size=len(owners) - 1))]
    for protocol in ("track", "strict_rows", "valid"):
        there, back = (
            pair_captions(owners, range(n), protocol=protocol, direction=way, valid=valid)
            for way in ("text-to-audio", "audio-to-text")
        )
        np.testing.assert_array_equal(there.gallery, back.queries)
        np.testing.assert_array_equal(there.queries, back.gallery)
        pairs = {(query, int(item)) for query, items in enumerate(there.relevant) for item in items}
        assert pairs == {(int(item), query) for query, items in enumerate(back.relevant) for item in items}
        for query, item in pairs:
            assert there.clusters[query] == back.clusters[item] == owners[there.queries[query]]
        assert all(len(items) for items in there.relevant)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "tracks"}, r"unknown protocol 'tracks'; did you mean 'track'\? known: track, strict_rows, valid"),
        ({"protocol": "zzz"}, "unknown protocol 'zzz'; known"),
        ({"direction": "audio-to-txt"}, "did you mean 'audio-to-text'"),
        ({"track_ids": ["10", "20", "30", "20", "10"]}, "2 ids are repeated, the first is '20' at entry 3"),
        ({"track_ids": ["10", "30"]}, "1 of 6 captions are of tracks not in track_ids, the first is '20' at entry 3"),
        ({"track_ids": [10, 20, 30]}, r"6 of 6 .* the first is '30' at entry 0 \(track_ids has 30: convert one"),
        ({"protocol": "valid"}, "needs valid="),
        ({"protocol": "valid", "valid": [True]}, r"valid has shape \(1,\); 6 captions need one bool each"),
        ({"protocol": "valid", "valid": ["True", "", "", "", "", ""]}, "6 of 6 entries are not, the first is 'True'"),
        ({"protocol": "valid", "valid": [True, None, True, True, True, 1]}, "2 of 6 .* the first is None at entry 1"),
        ({"protocol": "valid", "valid": [False] * 6}, "leaves 0 captions and 0 tracks"),
        ({"caption_tracks": []}, "leaves 0 captions and 4 tracks"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_captions(**{"caption_tracks": OWNERS, "track_ids": TRACKS, **change})  # type: ignore[arg-type]


def test_a_cut_below_one_raises() -> None:
    with pytest.raises(ValueError, match="k = 0"):
        pair("track", "text-to-audio").chance(0)
