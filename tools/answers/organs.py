"""The organ that a diagnosis names, and whether it is another one than the site of the case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import SITES, canonical_site
from videopath.core.pathology.terms import words_of

if TYPE_CHECKING:
    from videopath.model.card import Card

_ORGANS = {
    "adrenal gland": "adrenal adrenocortical", "appendix": "appendiceal appendix", "bladder": "bladder",
    "brain": "brain cerebral cerebellar intracranial", "breast": "breast mammary", "cervix": "cervix endocervical ectocervical",
    "colon": "colon colonic colorectal sigmoid", "duodenum": "duodenum duodenal", "endometrium": "endometrium endometrial",
    "esophagus": "esophagus esophageal", "gallbladder": "gallbladder", "heart": "heart myocardial",
    "kidney": "kidney renal", "larynx": "larynx laryngeal", "liver": "liver hepatic hepatocellular", "lung": "lung pulmonary",
    "oral cavity": "oral tongue", "ovary": "ovary ovarian", "pancreas": "pancreas pancreatic", "parathyroid": "parathyroid",
    "pituitary": "pituitary", "placenta": "placenta placental", "prostate": "prostate prostatic", "rectum": "rectum rectal",
    "salivary gland": "salivary parotid", "skin": "skin cutaneous", "small intestine": "jejunum jejunal ileum ileal",
    "spleen": "spleen splenic", "stomach": "stomach gastric", "testis": "testis testicular", "thymus": "thymus thymic",
    "thyroid": "thyroid", "vagina": "vagina vaginal", "vulva": "vulva vulvar",
}  # fmt: skip
"""Site → words of a diagnosis that place it there. Tissue found in many organs (bone, nerve, fat, lymph node) is left out."""
_ORGAN_OF = {word: site for site, words in _ORGANS.items() for word in words.split()}
_ANYWHERE = (
    "metasta",
    "secondary",
    "ectopic",
    "heterotopi",
    "choristoma",
    "invading",
    "involving",
    "involvement",
)
_RELATED = (
    {"colon", "rectum", "appendix"}, {"small intestine", "duodenum"}, {"ovary", "fallopian tube", "peritoneum"},
    {"brain", "meninges", "pituitary"}, {"esophagus", "stomach"}, {"lung", "pleura"}, {"skin", "vulva"},
    {"liver", "bile duct", "gallbladder"}, {"pancreas", "bile duct", "duodenum"}, {"endometrium", "cervix", "vagina"},
    {"oral cavity", "pharynx", "larynx", "nose", "salivary gland"}, {"peritoneum", "omentum"}, {"kidney", "retroperitoneum"},
    {"thymus", "mediastinum"}, {"adrenal gland", "retroperitoneum"},
)  # fmt: skip
"""Sites that share diagnoses, or that people name for one another."""


def is_of_other_organ(label: str, site: str | None, card: Card) -> bool:
    """Return whether a label names another organ than ``site``.

    It does not if the site is not given, if the label is the card's unknown label, names no organ or a related site, or
    is a metastasis, which may be anywhere.
    """
    if (
        not site
        or normalised_label(label) == normalised_label(card.unknown_label or "")
        or _is_anywhere(label)
    ):
        return False
    named = sites_of(label, card)
    return bool(named) and not any(_are_related(canonical_site(site), other) for other in named)


def sites_of(label: str, card: Card) -> list[str]:
    """Return the sites of a label by the card's lists or by its own words; empty if neither names a site."""
    label = normalised_label(label)
    named = label.rpartition(" of the ")[2]
    if named in SITES:
        return [named]
    listed = [site for site, labels in card.labels.items() if label in map(normalised_label, labels)]
    return listed or _organs_in(label)


def _organs_in(label: str) -> list[str]:
    return list(dict.fromkeys(_ORGAN_OF[word] for word in words_of(label) if word in _ORGAN_OF))


def _is_anywhere(label: str) -> bool:
    return any(part in label.casefold() for part in _ANYWHERE)


def _are_related(one: str, other: str) -> bool:
    return one == other or any({one, other} <= sites for sites in _RELATED)
