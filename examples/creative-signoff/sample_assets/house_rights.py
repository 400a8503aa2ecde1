"""Who made the samples: rights metadata of the house, of the agency, and of two real photographs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from sample_assets.canvas import Canvas, jpeg
from sample_assets.embedded_metadata import Rights, into_jpeg, without_metadata

AGENCY_CREDIT = "Noor El-Sayed / Agency X"

HOUSE = Rights(
    creator="nordlicht studio",
    credit_line="nordlicht",
    copyright_notice="© 2026 nordlicht GmbH",
    usage_terms="For use by nordlicht and its partners.",
    web_statement="https://nordlicht.example/rights",
    property_release="PR-UPR",
)
AGENCY = Rights(
    creator="Noor El-Sayed",
    credit_line=AGENCY_CREDIT,
    copyright_notice="© 2026 Noor El-Sayed, Agency X",
    usage_terms="Editorial and promotional use as agreed in the frame agreement AX-2026-02.",
    web_statement="https://agency-x.example/licence",
    model_release="MR-NAP",
)


def picture(draw: Callable[[], Canvas], rights: Rights | None = HOUSE, quality: int = 88) -> Callable[[], bytes]:
    """Give a maker of a JPEG with rights metadata, or without any."""
    return lambda: jpeg(draw(), quality) if rights is None else into_jpeg(jpeg(draw(), quality), rights)


def photograph(name: str, author: str, notice: str, instead: Callable[[], Canvas]) -> Callable[[], bytes]:
    """Give a maker of a real photograph (CC BY 2.0) that scikit-learn carries; a drawing where it is not installed.

    Its pixels stay as they are; its metadata is replaced by author, copyright notice and licence.
    """

    def make() -> bytes:
        spec = importlib.util.find_spec("sklearn")
        for place in (spec.submodule_search_locations or []) if spec else []:
            file = Path(place) / "datasets" / "images" / name
            if file.is_file():
                return into_jpeg(without_metadata(file.read_bytes()), _licensed(author, notice))
        return into_jpeg(jpeg(instead()), HOUSE)

    return make


def _licensed(author: str, notice: str) -> Rights:
    return Rights(
        creator=author,
        credit_line=f"{author}, CC BY 2.0",
        copyright_notice=notice,
        usage_terms="Creative Commons Attribution 2.0 Generic",
        web_statement="https://creativecommons.org/licenses/by/2.0/",
    )
