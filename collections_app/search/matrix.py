"""A collection's vectors in memory, laid out so that one query is a few large products.

Documents come and go all the time, often with a single chunk. So their rows share blocks: a new document is written
behind the last one, a withdrawn one leaves a gap that is skipped, and nothing is copied for it. Only when more than
half are gaps is everything packed anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collections_app.embeddings.base import Vector, Vectors

BLOCK_ROWS = 8192
FIRST_ROWS = 64  # the smallest block: a collection of ten chunks should not cost 8 MB

Ids = NDArray[np.int64]
Similarities = NDArray[np.float32]


@dataclass
class Block:
    """Up to ``len(ids)`` rows, of which the first ``used`` are filled. A gap has the id 0."""

    vectors: Vectors
    ids: Ids
    used: int = 0
    gaps: int = 0

    @classmethod
    def empty(cls, rows: int, dimension: int) -> "Block":
        return cls(np.empty((rows, dimension), dtype=np.float32), np.zeros(rows, dtype=np.int64))

    @property
    def free(self) -> int:
        return len(self.ids) - self.used

    @property
    def nbytes(self) -> int:
        return self.vectors.nbytes + self.ids.nbytes

    def enlarged(self) -> "Block":
        """A block of twice the size with the same rows, so that readers of this one are not disturbed."""
        block = Block.empty(min(2 * len(self.ids), BLOCK_ROWS), self.vectors.shape[1])
        block.vectors[: self.used] = self.vectors[: self.used]
        block.ids[: self.used] = self.ids[: self.used]
        block.used, block.gaps = self.used, self.gaps
        return block


@dataclass(frozen=True)
class View:
    """What one reader sees: blocks with the number of rows that were filled when it looked.

    Rows behind that are written by others meanwhile; those before it change only by becoming gaps.
    """

    blocks: tuple[tuple[Block, int], ...]

    def compare(self, query: Vector) -> tuple[Ids, Similarities]:
        """The ids of all rows and their products with *query*. Gaps are left out."""
        if not self.blocks:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        ids = np.concatenate([block.ids[:used] for block, used in self.blocks])
        similarities = np.concatenate([block.vectors[:used] @ query for block, used in self.blocks])
        if any(block.gaps for block, _ in self.blocks):
            filled = ids != 0
            ids, similarities = ids[filled], similarities[filled]
        return ids, similarities


@dataclass
class Matrix:
    """The rows of a collection's documents. Its writers exclude each other (the caller's lock); readers need none."""

    dimension: int
    view: View = field(default_factory=lambda: View(()))
    rows: int = 0
    gaps: int = 0
    _blocks: list[Block] = field(default_factory=list)
    _places: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)  # document -> (block, from, to)

    @property
    def documents(self) -> set[int]:
        return set(self._places)

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def begin(self, document: int) -> None:
        """Know *document*, so far without rows."""
        self._places[document] = []

    def add(self, document: int, ids: Ids, vectors: Vectors) -> None:
        """Append rows to a document that was begun."""
        places = self._places[document]
        start = 0
        while start < len(ids):
            block = self._roomy_block(len(ids) - start)
            count = min(self._blocks[block].free, len(ids) - start)
            places.append(self._fill(block, ids[start : start + count], vectors[start : start + count]))
            start += count
        self.rows += len(ids)

    def remove(self, document: int) -> None:
        for block, start, stop in self._places.pop(document):
            self._blocks[block].gaps += stop - start  # first, so that no reader takes a gap for a row
            self._blocks[block].ids[start:stop] = 0
            self.rows -= stop - start
            self.gaps += stop - start

    def show(self) -> None:
        """Let readers see what was added and removed since; pack the rows first when most are gaps."""
        if self.gaps > max(self.rows, BLOCK_ROWS):
            self._pack()
        self.view = View(tuple((block, block.used) for block in self._blocks))

    def _roomy_block(self, wanted: int) -> int:
        """The index of a block with at least one free row: the last one, enlarged, or a new one."""
        if self._blocks and len(self._blocks[-1].ids) < BLOCK_ROWS:
            while self._blocks[-1].free < wanted and len(self._blocks[-1].ids) < BLOCK_ROWS:
                self._blocks[-1] = self._blocks[-1].enlarged()
        if not self._blocks or not self._blocks[-1].free:
            first = BLOCK_ROWS if self._blocks else min(BLOCK_ROWS, max(FIRST_ROWS, wanted))
            self._blocks.append(Block.empty(first, self.dimension))
        return len(self._blocks) - 1

    def _fill(self, index: int, ids: Ids, vectors: Vectors) -> tuple[int, int, int]:
        block = self._blocks[index]
        start, stop = block.used, block.used + len(ids)
        block.vectors[start:stop] = vectors
        block.ids[start:stop] = ids
        block.used = stop
        return index, start, stop

    def _pack(self) -> None:
        """Copy the living rows into new blocks."""
        old_blocks, old_places = self._blocks, self._places
        self._blocks, self._places, self.rows, self.gaps = [], {}, 0, 0
        for document, places in old_places.items():
            self.begin(document)
            for block, start, stop in places:
                self.add(document, old_blocks[block].ids[start:stop], old_blocks[block].vectors[start:stop])


def best(ids: Ids, similarities: Similarities, top_k: int) -> tuple[Ids, NDArray[np.float64]]:
    """The *top_k* largest similarities in falling order, equal ones by id.

    Products of equal vectors may differ in the last bit, depending on where in a block they stand; so equal means
    equal to six decimals, and the result is rounded to them.
    """
    if len(ids) > top_k:
        least = np.partition(similarities, len(ids) - top_k)[len(ids) - top_k]
        near = np.flatnonzero(similarities >= least - 2e-6)
        ids, similarities = ids[near], similarities[near]
    rounded = _rounded(similarities)
    order = np.lexsort((ids, -rounded))[:top_k]
    return ids[order], rounded[order]


def best_by_words(
    ids: Ids, similarities: Similarities, holders: Sequence[Ids], top_k: int
) -> tuple[Ids, NDArray[np.float64]]:
    """The *top_k* of *ids* that hold the rarest terms, with their similarities; equal ones by similarity, then id.

    :param holders: of each term, the chunks that hold it; others than *ids* are passed over
    """
    order = np.argsort(ids, kind="stable")
    scores = word_scores(ids[order], holders)
    matched = np.flatnonzero(scores)
    if len(matched) > top_k:
        least = np.partition(scores[matched], len(matched) - top_k)[len(matched) - top_k]
        matched = matched[scores[matched] >= least]
    found, rounded = ids[order[matched]], _rounded(similarities[order[matched]])
    ranked = np.lexsort((found, -rounded, -scores[matched]))[:top_k]
    return found[ranked], rounded[ranked]


def word_scores(ids: Ids, holders: Sequence[Ids]) -> NDArray[np.float64]:
    """For each of the sorted *ids* how much the terms tell that it holds, by BM25's weight of a term's rarity."""
    scores = np.zeros(len(ids))
    for held in holders:
        places = np.searchsorted(ids, held)
        places = places[places < len(ids)]
        places = places[ids[places] == held[: len(places)]]
        scores[places] += math.log1p((len(ids) - len(places) + 0.5) / (len(places) + 0.5))
    return scores


def _rounded(similarities: Similarities) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.asarray(similarities, dtype=np.float64).round(6).clip(-1, 1)
    return rounded
