"""Can a file be heard by a detector at all?"""

from pathlib import Path

from earwitness.audio.files import UnreadableAudio, examine
from earwitness.core.errors import InputError
from earwitness.core.folders import refuse_unreadable_name

SHORTEST_MS = 20
"""Nothing shorter can be a stimulus."""


def why_not_heard(path: Path) -> str:
    """What keeps a file from being heard, without its name, and what to do; "" where nothing does.

    A file is heard that decodes to at least SHORTEST_MS of finite samples.
    """
    if path.is_dir():
        return "a folder without audio files"
    try:
        refuse_unreadable_name(path)
        about, measures = examine(path)
    except InputError as error:
        return str(error)
    except UnreadableAudio as error:
        return f"{error}; convert it to WAV, FLAC or Ogg"
    except FileNotFoundError:
        return "no such file" if not path.is_symlink() else "a link without content"
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if measures.non_finite:
        return "has samples that are not finite numbers; convert the file again"
    if 1000 * about.duration_s < SHORTEST_MS:
        return f"lasts {1000 * about.duration_s:.0f} ms; at least {SHORTEST_MS} ms are needed"
    return ""
