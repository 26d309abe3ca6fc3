"""Error messages are one line of readable length, whatever they quote."""

from __future__ import annotations

from videopath.core.errors import InputError


def test_a_message_is_one_line() -> None:
    assert str(InputError("'a\nb\u2028c' is no name.")) == "'a b c' is no name."


def test_a_long_word_keeps_its_beginning_and_its_end() -> None:
    said = str(InputError(f"'begin{'x' * 5000}end' is not known; leave it out."))
    assert len(said) < 400
    assert said.startswith("'beginxx")
    assert said.endswith("xend' is not known; leave it out.")


def test_a_long_list_keeps_its_beginning_and_its_end() -> None:
    said = str(InputError(f"Not known: {'word ' * 5000}; leave them out."))
    assert len(said) <= 1000
    assert said.startswith("Not known: word")
    assert said.endswith("leave them out.")
