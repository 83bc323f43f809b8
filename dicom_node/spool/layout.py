"""Names of folders and files: UIDs and other foreign words to path components that are safe."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePosixPath

INCOMING, INSTANCES, ASIDE, RESULTS = "incoming", "instances", "aside", "results"
JOURNALS, STEPS, OWED, PROMISES = "journals", "steps", "owed", "promises"
FOLDERS = (INCOMING, INSTANCES, ASIDE, RESULTS, JOURNALS, STEPS, OWED, PROMISES)
SUFFIX = ".dcm"
BESIDE = "~"
"""Stands between a SOP Instance UID and the digest of other bytes that came under the same UID."""

_UID = re.compile(r"[0-9][0-9.]{0,63}")
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")


def component(uid: str) -> str:
    """A UID as a path component: itself where it looks like one, else "x" and a hash of it."""
    return uid if _UID.fullmatch(uid) else _hashed(uid)


def word(name: str) -> str:
    """A job's id or a file's name as a path component, in the same way."""
    return name if _WORD.fullmatch(name) else _hashed(name)


def series_folder(study_instance_uid: str, series_instance_uid: str) -> str:
    """Folder of a series, relative to the root."""
    return f"{INSTANCES}/{component(study_instance_uid)}/{component(series_instance_uid)}"


def file_name(sop_instance_uid: str, digest: str = "") -> str:
    """File of an instance; with a digest, the file kept beside the first that came under its UID."""
    return f"{component(sop_instance_uid)}{BESIDE + digest if digest else ''}{SUFFIX}"


def checked(relative: str) -> PurePosixPath:
    """A relative path that stays below the root. Raises ValueError where it doesn't."""
    path = PurePosixPath(relative)
    if not relative or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{relative!r} is no path inside the spool")
    return path


def _hashed(name: str) -> str:
    return "x" + sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:40]
