"""Credentials leave a text; links without them stay as they are."""

from __future__ import annotations

import time

import pytest

from videopath.core.privacy.credentials import without_credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:cret@host/a?x=1", "https://[removed]@host/a?x=1"),
        ("HTTPS://cret@host:80/a", "HTTPS://[removed]@host:80/a"),
        ("s3://key:se/cret@lab/a.mp4", "s3://[removed]@lab/a.mp4"),
        ("postgresql://u:cr@et@h/db", "postgresql://[removed]@h/db"),
        (
            "https://b.host/a?X-Amz-Credential=cret%2F1&X-Amz-Date=1&X-Amz-Signature=cret",
            "https://b.host/a?X-Amz-Credential=[removed]&X-Amz-Date=1&X-Amz-Signature=[removed]",
        ),
        ("https://b.host/a?sv=2020&sig=cr%2Bet%3D", "https://b.host/a?sv=2020&sig=[removed]"),
        ("https://h/a#access_token=cret&x=1", "https://h/a#access_token=[removed]&x=1"),
        ('{"url": "https://a:cret@c/d", "n": 1}', '{"url": "https://[removed]@c/d", "n": 1}'),
        ("https://h/?next=https://me:cret@b/", "https://h/?next=https://[removed]@b/"),
        ("https://h/?next=https%3A%2F%2Fme%3Acret%40b%2F&x=1", "https://h/?next=[removed]&x=1"),
    ],
)
def test_credentials_are_removed_and_the_rest_of_the_address_stays(text: str, expected: str) -> None:
    assert without_credentials(text) == expected
    assert without_credentials(f"a {text} b") == f"a {expected} b"


@pytest.mark.parametrize(
    "text",
    [
        "ward A3: me@h.org, 3:1",
        "http://host:80/a@b",
        "s3://lab/a:1@2x.png",
        "ssh://git@host/a",
        "https://h/a?page=2&study_id=9&code=T-28000&pat=7",
        "https://h/a?to=https%3A%2F%2Fb%2Fa&x=2",
    ],
)
def test_a_text_without_credentials_is_not_changed(text: str) -> None:
    assert without_credentials(text) == text


@pytest.mark.parametrize("text", ["a" * 300_000 + "://u:p@h", "a://" * 80_000, "https://" + "?a:" * 100_000])
def test_a_long_cell_takes_no_long_time(text: str) -> None:
    start = time.process_time()
    without_credentials(text)
    assert time.process_time() - start < 5
