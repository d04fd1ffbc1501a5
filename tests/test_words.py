"""Books as histograms of words: what is counted, what is refused, and vectors that put like words together."""

import gzip

import numpy as np
import pytest

from wdl_tutorial import words

TEXTS = [
    words.tokens(text) for text in ("Morning, evening! morning", "evening morning stranger", "stranger Stranger noise")
]


def test_words_are_counted_in_lower_case_without_signs():
    assert TEXTS[0] == ["morning", "evening", "morning"]
    X = words.histograms(TEXTS, ["evening", "morning", "stranger"])
    np.testing.assert_allclose(X, [[1 / 3, 2 / 3, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]])


def test_a_word_of_one_text_is_left_out():
    texts = [*TEXTS, ["baronet", "baronet", "baronet", "baronet"]]
    assert words.vocabulary(texts, 3) == ["morning", "stranger", "evening"]
    assert words.vocabulary(texts, 2, among={"evening", "stranger"}) == ["stranger", "evening"]


def test_too_many_words_are_refused():
    with pytest.raises(ValueError, match="n_words is 9, but only 3 words of 7 to 8 letters"):
        words.vocabulary(TEXTS, 9)


@pytest.mark.parametrize("n_words", [-1, 0, 2.5, None, True])
def test_a_number_of_words_that_is_none_is_refused(n_words):
    with pytest.raises(ValueError, match="n_words must be an integer of at least 1"):
        words.vocabulary(TEXTS, n_words)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full((2, 3), np.nan), "NaN or infinity: the vector of word number 0"),
        (np.ones((2, 3)), "all 2 words point one way"),
    ],
)
def test_vectors_that_tell_no_words_apart_are_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        words.word_cost(vectors)


def test_words_without_company_are_refused():
    with pytest.raises(ValueError, match="none of the 1 words has any company"):
        words.company_vectors([["morning"]], ["stranger"])


def test_a_text_without_any_of_the_words_is_named():
    with pytest.raises(ValueError, match="texts number 2 uses none of the 1 words"):
        words.histograms(TEXTS, ["evening"])


def test_the_frame_of_project_gutenberg_is_cut_off():
    text = "Title\n*** START OF THIS BOOK ***\nIt was a morning.\n*** END OF THIS BOOK ***\nsmall print"
    assert words.body(text).strip() == "It was a morning."
    assert words.body("no frame") == "no frame"


def test_words_in_like_company_are_near():
    rng = np.random.default_rng(0)
    food, sea = ["bread", "butter", "knife"], ["sail", "mast", "wave"]
    texts = [
        [*rng.choice(food, 3), "cheeses", *rng.choice(food, 3), "dinners", *rng.choice(food, 3)] for _ in range(60)
    ]
    texts += [[*rng.choice(sea, 3), "sailors", *rng.choice(sea, 3)] for _ in range(60)]
    names = ["cheeses", "dinners", "sailors"]
    cost = words.word_cost(words.company_vectors(texts, names, n_dims=2))
    assert cost[0, 1] < 0.1 * cost[0, 2] and cost[0, 1] < 0.1 * cost[1, 2]


def test_the_cost_is_a_squared_distance_of_mean_one():
    cost = words.word_cost(np.random.default_rng(0).standard_normal((20, 5)))
    assert cost.mean() == pytest.approx(1, abs=0.02) and (np.diag(cost) == 0).all() and (cost >= 0).all()
    np.testing.assert_array_equal(cost, cost.T)
    root = np.sqrt(cost)  # distances on a sphere: the triangle inequality holds
    assert (root[:, None, :] <= root[:, :, None] + root[None, :, :] + 1e-12).all()


def test_a_vector_of_zeros_is_named():
    with pytest.raises(ValueError, match="word number 1 has the vector 0"):
        words.word_cost(np.array([[1.0, 0], [0, 0]]))


def test_the_excerpts_come_with_the_package():
    books = words.load_excerpts(150)
    assert books.X.shape == (15, 150) and books.vectors.shape == (150, 30)
    np.testing.assert_allclose(books.X.sum(axis=1), 1)
    assert all(7 <= len(word) <= 8 for word in books.words)
    assert len(books.titles) == len(books.authors) == 15 and len(set(books.authors)) == 5


def test_the_novels_where_they_are():
    if not words.novels_available():
        pytest.skip("the novels are not on this machine")
    books = words.load_novels(200)
    assert books.X.shape == (15, 200) and books.vectors.shape == (200, 50)
    assert books.titles == words.load_excerpts(150).titles
    # the nearest book by plain counts is, as a rule, the same author's
    far = np.abs(books.X[:, None] - books.X[None]).sum(axis=-1) + 9 * np.eye(15)
    same = [books.authors[k] == books.authors[near] for k, near in enumerate(far.argmin(axis=1))]
    assert np.mean(same) > 0.7


def test_a_missing_novel_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    monkeypatch.setenv("WDL_TUTORIAL_CACHE", str(tmp_path / "cache"))
    assert not words.novels_available()
    with pytest.raises(FileNotFoundError, match=r"austen_-_emma.txt.gz is needed and it is not on this machine"):
        words.load_novels()


def test_a_truncated_novel_is_named(monkeypatch, tmp_path):
    folder = tmp_path / "novels"
    folder.mkdir()
    (folder / "austen_-_emma.txt.gz").write_bytes(gzip.compress(b"It was"))
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="it is truncated or another version"):
        words.load_novels()
