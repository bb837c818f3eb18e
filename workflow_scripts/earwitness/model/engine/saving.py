"""Saving models that are made here."""

from pathlib import Path

from earwitness.core.files import atomic_folder
from earwitness.model.engine.loading import quiet_library
from earwitness.model.families.loaded_model import LoadedModel


def save_model(loaded: LoadedModel, folder: Path) -> None:
    """Write a model and its processor in the library's standard layout; the folder appears whole."""
    with atomic_folder(folder) as temporary, quiet_library():
        loaded.model.save_pretrained(temporary)
        loaded.processor.save_pretrained(temporary)
