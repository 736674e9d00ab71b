"""Batches of the log, as the readers pass them to the processors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class Batch:
    """Records of one topic, ascending by offset within each partition, in the reader's form.

    An epoch is one uninterrupted reading. All its batches together hold every record from the
    committed offsets on; `number` counts a topic's batches in an epoch from 0. A new epoch starts
    again at the committed offsets, so batches of earlier epochs can be dropped.
    """

    topic: str
    epoch: int
    number: int


@dataclass(frozen=True)
class DecodedBatch(Batch, Generic[Part]):
    """A batch of decoded records, one part per fetch; `more` says that more records are at hand."""

    parts: Sequence[Part] = field(repr=False)
    more: bool = False
