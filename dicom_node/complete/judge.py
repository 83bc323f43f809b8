"""The table of evidence, row by row: what proves a series complete, what makes it likely, what must wait."""

from __future__ import annotations

from datetime import datetime, timedelta

from dicom_node.complete.quiet import quiet_time, settle_time
from dicom_node.config.models import CompletionConfig
from dicom_node.records import AssociationEvidence, AssociationOutcome, Evidence, Verdict

PROOFS = {"commitment": "storage commitment request", "mpps": "MPPS", "count": "equal count"}
RESOLUTION = 0.001
"""Seconds; less is not waited for."""


def judge(evidence: Evidence, policy: CompletionConfig, now: datetime) -> Verdict:
    """Judges whether a series is complete.

    Args:
        evidence: what is known; times are aware.
        policy: the site's waiting times.
        now: aware; it may lie before times in the evidence, when the clock was set back.

    Returns:
        Complete, with which row of the table decided; or waiting, with when to look again.
    """
    proven = _proven(evidence)
    if proven is not None:
        return proven
    waiting = _Waiting(evidence, policy, now)
    return (
        _missing(evidence, waiting)
        or _unreleased(evidence, waiting)
        or _refused(evidence, waiting)
        or _promised(evidence, waiting)
        or _released(evidence, waiting)
    )


class _Waiting:
    """Verdicts that depend on the time that has passed."""

    def __init__(self, evidence: Evidence, policy: CompletionConfig, now: datetime) -> None:
        self.policy = policy
        self._now = now
        self._last_image_at = evidence.last_image_at
        self._listening_since = evidence.listening_since

    def since(self, moment: datetime) -> float:
        """Seconds since a moment, or since this node has listened again, by a clock that was not set since.

        A moment in the future was noted before the clock was set back. Where it is not known when that was,
        it counts as now within the ceiling, so that waiting ends once the clock has caught up; and beyond, as
        long past, so that it ends at all.
        """
        since = self._listening_since
        if since is not None and since <= self._now and not since <= moment <= self._now:
            moment = since
        seconds = (self._now - moment).total_seconds()
        if seconds >= 0:
            return seconds
        return 0.0 if -seconds <= self.policy.ceiling else float("inf")

    def until(self, left: float, complete: Verdict, reason: str) -> Verdict:
        """The verdict once `left` seconds are over, and a waiting one before."""
        if left < RESOLUTION:
            return complete
        return Verdict(
            complete=False,
            evidence="waiting",
            reason=reason,
            look_again_at=self._now + timedelta(seconds=left),
        )

    def until_ceiling(self, why: str) -> Verdict:
        """Doubtfully complete once the ceiling after the last image is reached."""
        ceiling = self.policy.ceiling
        passed = f"{why}; nothing has come for {ceiling:g} s, the ceiling"
        doubtful = Verdict(complete=True, evidence="ceiling", reason=passed, doubtful=True)
        left = ceiling - self.since(self._last_image_at)
        return self.until(left, doubtful, f"{why}; waiting up to {ceiling:g} s after the last image")


def _proven(evidence: Evidence) -> Verdict | None:
    """Rows 1 to 3: the sender, the modality or the source says so."""
    held = f"{evidence.instances} instances"
    if evidence.committed:
        reason = f"the sender asked for storage commitment of the series, and all {held} are held"
        return Verdict(complete=True, evidence="commitment", reason=reason)
    if evidence.performed:
        reason = f"the modality reported the procedure step completed, and all {held} are held"
        return Verdict(complete=True, evidence="mpps", reason=reason)
    equal = [count for count in evidence.counts[-2:] if count.instances == evidence.instances]
    if equal and evidence.counts[-1] == equal[-1]:
        peer = equal[-1].peer
        if len(equal) == 2:
            reason = f"{peer} counted {held} twice, as many as are held"
            return Verdict(complete=True, evidence="count", reason=reason)
        if not _open(evidence) and not evidence.sender_open:
            reason = f"{peer} counts {held}, as many as are held, and no association is open"
            return Verdict(complete=True, evidence="count", reason=reason)
    return None


def _missing(evidence: Evidence, waiting: _Waiting) -> Verdict | None:
    """The source holds more than has come."""
    if not evidence.counts or evidence.counts[-1].instances <= evidence.instances:
        return None
    count = evidence.counts[-1]
    return waiting.until_ceiling(
        f"{count.peer} holds {count.instances} instances, {evidence.instances} are here"
    )


def _unreleased(evidence: Evidence, waiting: _Waiting) -> Verdict | None:
    """An association that brought images is open, or was aborted and its sender hasn't come back."""
    still_open = _open(evidence)
    if still_open:
        who = still_open[-1].calling_ae_title
        return waiting.until_ceiling(f"an association of {who} that brought images of the series is open")
    aborted = [one for one in evidence.associations if _is_open_wound(one, evidence)]
    if aborted:
        brought = sum(one.images for one in aborted)
        return waiting.until_ceiling(f"{aborted[-1].calling_ae_title} aborted after {brought} images")
    return None


def _refused(evidence: Evidence, waiting: _Waiting) -> Verdict | None:
    """This node itself refused images that may be the series', and they have not come since."""
    lacking = [one for one in (*evidence.associations, *evidence.refused_beside) if one.refused]
    if not lacking:
        return None
    number = sum(one.refused for one in lacking)
    senders = ", ".join(sorted({one.calling_ae_title for one in lacking}))
    images = "1 image" if number == 1 else f"{number} images"
    return waiting.until_ceiling(f"the node refused {images} of {senders} for want of room")


def _promised(evidence: Evidence, waiting: _Waiting) -> Verdict | None:
    """Whoever always proves its series complete will prove this one: nothing less is taken for it."""
    if not evidence.promised:
        return None
    return waiting.until_ceiling(f"the {PROOFS[evidence.promised]} that this sender gives has not come yet")


def _released(evidence: Evidence, waiting: _Waiting) -> Verdict:
    """Rows 4 and 5: everything was released; the geometry decides how long to wait."""
    ended = [one.ended_at for one in evidence.associations if one.ended_at is not None]
    since = min(waiting.since(moment) for moment in (evidence.last_image_at, *ended))
    if evidence.geometry.whole and not evidence.sender_open and not evidence.reopened:
        row, state = "geometry", f"released, and {evidence.geometry.reason}"
        wait = settle_time(evidence.pauses, waiting.policy)
    else:
        row, state = "quiet", f"released, but {_unsure(evidence)}"
        wait = quiet_time(evidence.pauses, waiting.policy)
    done = Verdict(
        complete=True, evidence=row, reason=f"{state}; quiet for {wait.seconds:.1f} s ({wait.why})"
    )
    return waiting.until(wait.seconds - since, done, f"{state}; waiting {wait.seconds:.1f} s ({wait.why})")


def _unsure(evidence: Evidence) -> str:
    """Why the geometry doesn't decide."""
    if not evidence.geometry.whole:
        return evidence.geometry.reason
    if evidence.reopened:
        return f"late images have come before ({evidence.geometry.reason})"
    return f"a sender of the series has another association open ({evidence.geometry.reason})"


def _open(evidence: Evidence) -> list[AssociationEvidence]:
    return [one for one in evidence.associations if one.outcome is AssociationOutcome.OPEN]


def _is_open_wound(aborted: AssociationEvidence, evidence: Evidence) -> bool:
    """Aborted, and its sender has not brought more of the series in a later association that it released."""
    if aborted.outcome is not AssociationOutcome.ABORTED:
        return False
    return not any(
        later.outcome is AssociationOutcome.RELEASED
        and later.calling_ae_title == aborted.calling_ae_title
        and later.started_at >= (aborted.ended_at or aborted.last_image_at)
        for later in evidence.associations
    )
