"""Make the sample intake of a creative team: pictures, documents, recordings, and the contracts that cover them.

    python examples/creative-signoff/make_assets.py TARGET [--today YYYY-MM-DD]

TARGET/intake holds the files under their keys, TARGET/replacements second versions to be uploaded later under the same
keys, TARGET/contracts.csv the grants. The same day gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # loaded by its path, not as a script: its neighbours are not found yet
    sys.path.insert(0, str(HERE))

from sample_assets import campaign_assets, press_assets, product_assets  # noqa: E402  # needs the path above
from sample_assets.contracts import FRAME_AGREEMENT, contracts_csv  # noqa: E402
from sample_assets.manifest import Manifest, Recipe, Sample  # noqa: E402


def make_assets(target: Path, today: date) -> Manifest:
    """Write every sample under `target` and say what was written; dates in contracts and metadata count from `today`.

    Files that are there already are written again. Raises OSError if `target` cannot be written to.
    """
    recipes = [
        *campaign_assets.spring_assets(today),
        *campaign_assets.summer_assets(),
        *product_assets.product_assets(),
        *press_assets.press_assets(),
        *press_assets.contract_assets(),
        *press_assets.inbox_assets(),
    ]
    later = [*campaign_assets.replacements(), *product_assets.replacements()]
    intake = _write(target / "intake", recipes)
    agreement = next(sample for sample in intake if sample.key == FRAME_AGREEMENT)
    contracts = target / "contracts.csv"
    contracts.write_bytes(contracts_csv(recipes, today, hashlib.sha256(agreement.path.read_bytes()).hexdigest()))
    return Manifest(today, intake, _write(target / "replacements", later), contracts)


def _write(folder: Path, recipes: Iterable[Recipe]) -> tuple[Sample, ...]:
    samples = []
    for recipe in recipes:
        path = folder / recipe.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(recipe.make())
        samples.append(Sample(recipe.key, path, recipe.purpose, recipe.features))
    return tuple(samples)


def main() -> None:
    """Make the samples from the command line and list them."""
    parser = argparse.ArgumentParser(description="Make the sample intake of a creative team.")
    parser.add_argument("target", type=Path, help="folder to write to; made if it is not there")
    parser.add_argument(
        "--today", type=date.fromisoformat, default=None, help="day that dates count from (default: today)"
    )
    given = parser.parse_args()
    today = given.today or date.today()  # noqa: DTZ011  # the day on the wall of whoever runs the demo
    manifest = make_assets(given.target, today)
    for sample in manifest.intake + manifest.replacements:
        print(f"{sample.path.relative_to(given.target)}: {sample.purpose}")
    size_bytes = sum(sample.path.stat().st_size for sample in manifest.intake + manifest.replacements)
    print(
        f"{len(manifest.intake)} files, {len(manifest.replacements)} replacements, {size_bytes / 1e6:.1f} MB, "
        f"contracts in {manifest.contracts}"
    )


if __name__ == "__main__":
    main()
