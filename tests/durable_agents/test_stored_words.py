"""What is stored is read for years: a golden file for each of the stored words.

A file is never edited. A word that gains a field gets a second file beside the first.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import messages

FOLDER = Path(__file__).parent / "stored_words"
FILES = sorted(FOLDER.glob("*.json"))
# Parts of other words, or the form of one that is abstract.
ONLY_INSIDE = {"OutputSchema", "Correction"}


def words() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for name, value in vars(messages).items():
        is_model = isinstance(value, type) and issubclass(value, BaseModel)
        if is_model and value.__module__ == messages.__name__:
            found[name] = value
    return found


def word_of(file: Path) -> type[BaseModel]:
    return words()[file.stem.partition("@")[0]]


def test_each_stored_word_has_a_golden_file() -> None:
    kept = {file.stem.partition("@")[0] for file in FILES}
    assert set(words()) - ONLY_INSIDE - kept == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stored_word_is_read_and_written_as_it_was(file: Path) -> None:
    stored: dict[str, Any] = json.loads(file.read_text())
    word = word_of(file).model_validate(stored)
    assert word.model_dump(mode="json", exclude_defaults=True) == stored


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_word_of_a_later_version_is_read_without_what_is_not_known(file: Path) -> None:
    stored: dict[str, Any] = json.loads(file.read_text())
    assert word_of(file).model_validate({**stored, "of_later": 1}) == word_of(file).model_validate(
        stored
    )


def test_text_in_place_of_a_message_is_no_request() -> None:
    with pytest.raises(ValueError, match="messages"):
        messages.ModelRequest.model_validate({"version": 2, "messages": ["Hello?"]})
