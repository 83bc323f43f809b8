"""The two families of errors that decide whether a thing is tried again, and their few leaves.

What may work later is Transient; what never will, as things are, is Permanent. A room raises one of
the leaves (or the family itself); whoever holds the job or delivery asks only which family it is.
"""


class NodeError(Exception):
    """Anything the node itself raises. Its text is for an administrator and holds no patient data."""


class Transient(NodeError):
    """May work when tried again: a peer that is away, a disk that is full, a device that is busy."""


class Permanent(NodeError):
    """Will fail again in the same way until somebody changes something."""


class OutOfResources(Transient):
    """The disk, the memory or a limit is exhausted (PS3.4 B.2.3, status A700)."""


class PeerUnavailable(Transient):
    """A peer does not answer, or asks to be tried later."""


class WorkerLost(Transient):
    """The process that ran a job ended before the job did."""


class PeerRefused(Permanent):
    """A peer understood, and said no for good."""


class ConfigError(Permanent):
    """conf.yaml can't be used; the text lists every fault with its line."""


class BadInput(Permanent):
    """The images themselves can't be used: not DICOM, truncated, inconsistent."""


class GeometryError(BadInput):
    """The images don't make a regular volume; the text says why."""


class NoSlices(GeometryError):
    """The series has nothing that a volume is made of, as localizers haven't: nothing went wrong."""


class ModelUnavailable(Permanent):
    """A model, its weights or its package is missing, or isn't what its checksum says."""


class ModelFailed(Permanent):
    """A pipeline raised, ran out of time, or returned what its findings' contracts forbid."""


class Cancelled(Permanent):
    """The job was taken back while it ran."""


class GateRefused(Permanent):
    """A result object failed the checks that stand before the outbox; the text lists what is wrong."""
