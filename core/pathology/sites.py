"""Anatomical sites: one canonical name for each, with the other names that people type."""

from __future__ import annotations

import difflib

from videopath.core.errors import InputError

SITES: dict[str, tuple[str, ...]] = {
    "adrenal gland": ("adrenal",),
    "appendix": ("vermiform appendix",),
    "bile duct": ("biliary tract", "common bile duct"),
    "bladder": ("urinary bladder",),
    "bone": (),
    "bone marrow": ("marrow",),
    "brain": ("cns", "central nervous system", "cerebrum", "cerebellum", "brain/retroorbital"),
    "breast": ("mamma",),
    "cervix": ("uterine cervix", "cervical cytology", "pap smear"),
    "colon": ("large intestine", "large bowel", "colorectum", "colorectal", "sigmoid"),
    "duodenum": (),
    "ear": ("middle ear",),
    "endometrium": ("uterus", "uterine corpus"),
    "esophagus": ("oesophagus",),
    "eye": ("orbit",),
    "fallopian tube": ("tube", "uterine tube"),
    "gallbladder": ("gall bladder",),
    "heart": ("myocardium",),
    "kidney": ("renal",),
    "larynx": (),
    "liver": ("hepatic",),
    "lung": ("pulmonary", "bronchus"),
    "lymph node": ("node", "lymph nodes"),
    "mediastinum": (),
    "meninges": ("dura", "meninx"),
    "nerve": ("peripheral nerve",),
    "nose": ("nasal cavity", "sinonasal"),
    "omentum": (),
    "oral cavity": ("mouth", "oral mucosa", "tongue", "oral"),
    "ovary": ("ovarian", "adnexa"),
    "pancreas": ("pancreatic",),
    "parathyroid": (),
    "peritoneum": (),
    "pharynx": ("tonsil",),
    "pituitary": ("pituitary gland", "hypophysis"),
    "placenta": ("fetal membranes",),
    "pleura": (),
    "prostate": (),
    "rectum": ("anus",),
    "retroperitoneum": (),
    "salivary gland": ("parotid",),
    "skin": ("cutis",),
    "small intestine": ("small bowel", "jejunum", "ileum"),
    "soft tissue": ("fat", "muscle"),
    "spleen": (),
    "stomach": ("gastric",),
    "testis": ("testicle",),
    "thymus": (),
    "thyroid": ("thyroid gland",),
    "vagina": (),
    "vulva": (),
}
"""Canonical site → its other names, all in lower case."""

_BY_NAME = {name: site for site, others in SITES.items() for name in (site, *others)}


def canonical_site(name: str) -> str:
    """Return the canonical name of a site.

    Raises:
        InputError: The site is unknown; the message names the most similar sites.
    """
    cleaned = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    if cleaned in _BY_NAME:
        return _BY_NAME[cleaned]
    similar = difflib.get_close_matches(cleaned, _BY_NAME, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(dict.fromkeys(repr(_BY_NAME[name]) for name in similar))}?"
        if similar
        else f"use one of: {', '.join(SITES)}."
    )
    raise InputError(
        f"The site {name[:80]!r} is not known; {hint} Leave --site out if the site is not known."
    )
