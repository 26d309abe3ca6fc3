"""Names of sites as people type them."""

from __future__ import annotations

import pytest

from videopath.core.errors import InputError
from videopath.core.pathology.sites import SITES, canonical_site


@pytest.mark.parametrize("name", ["lymph node", "Lymph-Node", " lymph_node ", "LYMPH  NODE"])
def test_a_site_is_known_however_it_is_written(name: str) -> None:
    assert canonical_site(name) == "lymph node"


def test_every_name_of_every_site_leads_to_it() -> None:
    assert all(canonical_site(name) == site for site, others in SITES.items() for name in (site, *others))


def test_an_unknown_site_is_told_with_each_near_one_once() -> None:
    with pytest.raises(InputError) as told:
        canonical_site("lymphnodde")
    assert str(told.value).count("'lymph node'") == 1
