"""One run of one pipeline, all stages in a row: files in, checked DICOM objects out."""

from __future__ import annotations

from collections.abc import Callable

from dicom_node.config import Config
from dicom_node.errors import NodeError, NoSlices, Transient
from dicom_node.infer.engine import Engine
from dicom_node.node.finishing import Ran, finish, without_result
from dicom_node.node.orders import Order
from dicom_node.node.preparing import prepare
from dicom_node.pipeline import Case
from dicom_node.records import JobState


def run(order: Order, engine: Engine, config: Config, progress: Callable[[float], None]) -> Ran:
    """Runs a pipeline on files, and encodes what it found.

    A permanent error is a FAILED run with objects that say so; so is what can't be encoded. A series without
    slices is NOT_APPLICABLE.

    Raises:
        Transient: another time it may work; nothing was made.
    """
    try:
        prepared = prepare(order, config)
        findings = engine.run(order.pipeline, Case(prepared.inputs, progress))
        return finish(prepared, findings)
    except Transient:
        raise
    except NoSlices as fault:
        return without_result(str(fault), order, config, JobState.NOT_APPLICABLE)
    except NodeError as fault:
        return without_result(str(fault), order, config)
