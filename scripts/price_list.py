"""AWS's list prices of a region, out of `scripts/prices/<region>.toml`: dated, in US dollars."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "prices"
# Whose prices stand in for those of a region that has no file.
FALLBACK = "us-east-1"


class Prices(NamedTuple):
    """`fixed` costs the same whether it is used or not, `by_use` does not; `price_region` is whose prices these are."""

    region: str
    price_region: str
    date: str
    fixed: Mapping[str, float]
    by_use: Mapping[str, float]

    def facts(self) -> dict[str, Any]:
        return {"region": self.region, "price_region": self.price_region, "price_date": self.date}

    def source(self) -> str:
        """Which prices these are, for a person."""
        prices = f"list prices of {self.price_region}, {self.date}"
        return prices if self.region == self.price_region else f"{prices}, which are not those of {self.region}"

    def next_step(self) -> str:
        """What to do about prices that are another region's; "" where they are this one's."""
        if self.region == self.price_region:
            return ""
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        return f"To have those of {self.region}, copy scripts/prices/{self.price_region}.toml (there are: {there})."


def load(region: str) -> Prices:
    """Those of the region; those of us-east-1 where there are none, which most regions' are not far from."""
    file = FOLDER / f"{region}.toml"
    stated = tomllib.loads((file if file.is_file() else FOLDER / f"{FALLBACK}.toml").read_text())
    return Prices(region, stated["region"], str(stated["date"]), stated["fixed"], stated["by_use"])
