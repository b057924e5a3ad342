"""Figures of attempts: counts and medians, how they are summed, and the buckets of time that they belong to. Pure."""

from app.figures.buckets import BUCKETS_MAX, Bucket, Grouping, Piece, Span, pieces, spans
from app.figures.cells import DIALERS_MAX, OTHERS, UNNAMED, WHOLE, Facet, Key, bounded, facets_of, summed
from app.figures.histograms import Histogram
from app.figures.sums import Figures, read, written

__all__ = [
    "BUCKETS_MAX",
    "DIALERS_MAX",
    "OTHERS",
    "UNNAMED",
    "WHOLE",
    "Bucket",
    "Facet",
    "Figures",
    "Grouping",
    "Histogram",
    "Key",
    "Piece",
    "Span",
    "bounded",
    "facets_of",
    "pieces",
    "read",
    "spans",
    "summed",
    "written",
]
