"""Pinned snapshots of models from the Hugging Face hub: weights as safetensors only, and no code."""

import shutil
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from earwitness.core.errors import InputError
from earwitness.model.identity import PATTERNS


def fetch_snapshot(repository: str, revision: str, folder: Path, section: str) -> None:
    """Download what a model needs of `repository` at `revision`; `folder` appears only when all of it is there.

    section: of the configuration, for messages.

    An interrupted download stays in a hidden folder beside it and goes on from there. Raises InputError where the
    repository or revision does not exist, access is not granted, the hub cannot be reached, or there is no model
    that loads without running code.
    """
    partial = folder.with_name(f".{folder.name}-{revision.replace('/', '-')}")
    try:
        snapshot_download(repository, revision=revision, allow_patterns=list(PATTERNS), local_dir=partial)
    except HFValidationError as error:
        raise InputError(f"{section}.repository = {repository}: not a name on the hub; write OWNER/NAME") from error
    except GatedRepoError as error:
        raise InputError(
            f"{section}.repository = {repository}: access is restricted; accept its terms on the hub, then run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"{section}.repository = {repository}: not on the hub, or private; check the name, or run `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise InputError(f"{section}.revision = {revision}: {repository} has none of that name; give a commit, tag or branch") from error
    except OSError as error:
        raise InputError(
            f"{repository}: the hub cannot be reached or the disk is full ({type(error).__name__});"
            f" try again, or fetch it elsewhere and set {section}.origin: path and {section}.path"
        ) from error
    if not (partial / "config.json").is_file() or not list(partial.glob("*.safetensors")):
        shutil.rmtree(partial)
        raise InputError(
            f"{section}.repository = {repository}: has no config.json with *.safetensors at {revision}; name another revision or repository"
        )
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder)
    partial.replace(folder)
