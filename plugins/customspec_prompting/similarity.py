"""How near texts are to one another: by words (BM25, TF-IDF), or by embeddings of a model2vec model."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.floating[Any]]
    Score = Callable[[str], Vector]

# a Chinese or Japanese character is a word of its own, as nothing stands between words there
WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """The words of a text, whatever their case."""
    return WORDS.findall(text.casefold())


def bm25(texts: Sequence[str]) -> Score:
    """Each text's BM25 score for a query (Robertson & Zaragoza 2009), in Lucene's form: k1 = 1.5, b = 0.75."""
    import bm25s
    import numpy as np

    split = [words(text) for text in texts]
    if not any(split):
        return lambda query: np.zeros(len(texts))
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(split, show_progress=False)

    def score(query: str) -> Vector:
        asked = words(query)
        return np.asarray(index.get_scores(asked)) if asked else np.zeros(len(texts))

    return score


def cosine(texts: Sequence[str], folder: str) -> Score:
    """The cosine between each text's embedding and a query's."""
    embed = embedding(folder)
    vectors = embed(texts)
    return lambda query: vectors @ embed([query])[0]


def embedding(folder: str) -> Callable[[Sequence[str]], Vector]:
    """Unit vectors of texts (texts, dimensions), by the model in a folder; nothing is downloaded."""
    from pathlib import Path

    from model2vec import StaticModel

    if not (Path(folder) / "model.safetensors").is_file():
        raise FileNotFoundError(f"{folder} holds no model.safetensors")
    model = StaticModel.from_pretrained(folder, force_download=False)
    return lambda texts: model.encode(list(texts), normalize=True, use_multiprocessing=False)


def ranked(scores: Vector) -> list[int]:
    """Places from the highest score to the lowest; among equals, in their order."""
    import numpy as np

    places: list[int] = np.argsort(-scores, kind="stable").tolist()
    return places


def clusters(texts: Sequence[str], count: int, seed: int, folder: str | None) -> list[list[int]]:
    """The texts in `count` clusters by k-means (fewer, where fewer texts differ): the largest cluster first, and in
    each the text that is nearest to its centre."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if folder is None and not any(map(words, texts)):
        return [list(range(len(texts)))]
    vectors = _tf_idf(texts) if folder is None else embedding(folder)(texts)
    model = KMeans(min(count, len(texts)), random_state=seed, n_init=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different texts than clusters
        distances = model.fit_transform(vectors)  # (texts, clusters)
    members: list[list[int]] = [[] for _ in range(model.n_clusters)]
    for place, cluster in enumerate(model.labels_.tolist()):
        members[cluster].append(place)
    by_nearness = [sorted(found, key=lambda place: distances[place, c]) for c, found in enumerate(members)]
    return sorted(by_nearness, key=len, reverse=True)


def _tf_idf(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=words).fit_transform(texts)
