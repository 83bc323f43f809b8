"""The typed models of conf.yaml, one class a section; docs/configuration.md explains every key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dicom_node.config.types import (
    ALL_DAYS,
    AETitle,
    Clock,
    Day,
    Device,
    Facts,
    Network,
    Port,
    Seconds,
    WebAddress,
    When,
)
from dicom_node.config.when import ALWAYS

Output = Literal[
    "seg", "sr", "sc", "key", "heat", "pm", "pr", "ko", "pdf",
    "rtstruct", "labelmap", "fractional", "sr-comprehensive",
]  # fmt: skip
"""What a destination can be sent: "seg", "sr", "pm", "pr" and "ko" in the best form that it takes."""
DEFAULT_OUTPUTS: tuple[Output, ...] = ("seg", "sr", "sc")
OUTPUT_WORDS: Mapping[str, Output] = {
    "segmentation": "seg",
    "report": "sr",
    "pictures": "sc",
    "key-images": "ko",
    "heat-maps": "pm",
    "overlay": "pr",
    "contours": "rtstruct",
    "document": "pdf",
}
"""Outputs as people call them."""
_Word = Literal[
    "segmentation", "report", "pictures", "key-images", "heat-maps", "overlay", "contours", "document"
]
_NamedOutput = Annotated[Literal[Output, _Word], AfterValidator(lambda name: OUTPUT_WORDS.get(name, name))]
ProfileName = Literal["generic", "any", "ohif", "orthanc", "dcm4chee", "weasis", "pictures"]


class Section(BaseModel):
    """Base of every section: unknown keys are faults, values don't change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeConfig(Section):
    """Who the node is, and where it keeps things."""

    ae_title: AETitle = "DICOMNODE"
    address: str = "0.0.0.0"  # noqa: S104 - a DICOM node serves its network; peers are checked by title and address
    port: Port = 11112
    data: Path = Path("var")
    """Relative to the folder of conf.yaml."""
    database: str | None = None
    """SQLAlchemy URL; None: SQLite in the data folder."""
    devices: tuple[Device, ...] = ("cpu",)
    """One worker process for each: "cpu", "cuda:0"."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads of each worker; None: all cores but one, so that reception has its own."""
    model_memory_mb: int | None = Field(default=None, ge=1)
    """What warm models of a worker may take together, as measured; None: no limit."""
    use: Literal["research", "clinical"] = "research"
    institution: str | None = None


class TlsConfig(Section):
    """The receiver's TLS by the BCP 195 profiles (PS3.15 B.9 to B.12); PEM files."""

    certificate: Path
    """The node's certificate, with the chain that leads to its authority."""
    key: Path
    authorities: Path | None = None
    """Certificates of those who sign senders' certificates; None: senders need none."""


class ReceiveConfig(Section):
    """The storage SCP: processes, limits and time limits."""

    processes: int = Field(default=1, ge=1, le=64)
    max_associations: int = Field(default=100, ge=1)
    """At one time, for each process; more are rejected transiently."""
    called_ae_titles: tuple[AETitle, ...] = ()
    """Titles answered to besides the node's own; "*" is any."""
    free_disk_mb: int = Field(default=1024, ge=0)
    """Below this much free space, storage is refused transiently (A700)."""
    idle_timeout: Seconds = 60
    """Between messages of an association."""
    network_timeout: Seconds = 30
    """For each part of a message, at most 128 KB, to arrive whole; and for an answer to be taken."""
    artim_timeout: Seconds = 10
    """For a new connection to ask for its association, and for a finished one to be closed (PS3.8 9.1.5)."""
    drain_timeout: Seconds = 20
    """For associations in hand to end when the receiver stops."""
    tls: TlsConfig | None = None
    """None: the port is plain."""
    unknown_peers: Literal["accept", "refuse"] = "accept"
    conflict: Literal["keep-first", "newest"] = "keep-first"
    """Which file counts when the same SOP Instance UID comes with other bytes; both are kept."""


class PeerConfig(Section):
    """A sender that is known: who it is and what it may do."""

    ae_title: AETitle
    addresses: tuple[Network, ...] = ()
    """Networks in CIDR form; empty: any address."""
    may: tuple[Literal["echo", "store", "commit", "mpps"], ...] = ("echo", "store", "commit", "mpps")
    private: bool = False
    """Private SOP classes and transfer syntaxes are taken from it too."""
    host: str | None = None
    """Where it is called back with the outcome of a storage commitment; None: only asked associations."""
    port: Port | None = None
    count: bool = False
    """It is asked by C-FIND, at `host` and `port`, how many images it holds of what it sends."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> PeerConfig:
        if self.count and (self.host is None or self.port is None):
            raise ValueError("count needs host and port: where the peer is asked")
        return self


class CompletionConfig(Section):
    """When a series counts as complete."""

    settle: Seconds = 1.0
    """After a clean release with whole geometry."""
    quiet: Seconds = 15.0
    """After the last image, where the geometry decides nothing and the sender's past is unknown."""
    quiet_min: Seconds = 5.0
    """Quiet time adapted to a sender's past is never shorter …"""
    quiet_max: Seconds = 120.0
    """… nor longer."""
    ceiling: Seconds = 600.0
    """After the last image, whatever else: complete with doubt."""

    @model_validator(mode="after")
    def _in_order(self) -> CompletionConfig:
        if self.quiet_min > self.quiet_max:
            raise ValueError(
                f"quiet_min ({self.quiet_min:g}) must not be above quiet_max ({self.quiet_max:g})"
            )
        return self


class KeepConfig(Section):
    """How long images, results and history stay; nothing goes before it is delivered."""

    images_days: float = Field(default=30, ge=0)
    """Images and results of a series, after its last image, when its jobs and deliveries are through."""
    history_days: float = Field(default=365, ge=0)
    """Associations, refusals and changes of state."""
    values_days: float = Field(default=3650, ge=0)
    """What was measured, for trends over a patient's studies."""


class PipelineConfig(Section):
    """A pipeline and its options."""

    use: str
    """Import string, "package.module:Class"."""
    options: dict[str, Any] = Field(default_factory=dict)
    time_limit: Seconds = 900.0
    memory_limit_mb: int | None = Field(default=None, ge=1)
    """By how much a run may let a process grow; None: no limit."""


class LessonConfig(Section):
    """Something that the site knows of its series and their headers don't say."""

    when: When
    means: Facts
    """Facts and their values; they stand above what the node works out."""


class RoleConfig(Section):
    """One of several series that a route asks for."""

    when: When = ALWAYS
    optional: bool = False
    """Once the wait is over, the route runs without it."""


class WindowConfig(Section):
    """Times of the week, by the machine's clock."""

    start: Clock = time(0, 0)
    """The first minute; a window may go over midnight."""
    end: Clock = time(0, 0)
    """The first minute after it; midnight is the end of the day."""
    days: tuple[Day, ...] = ALL_DAYS
    """Days on which it starts."""


class RouteConfig(Section):
    """Which series go to which pipeline, and where the results go."""

    name: str
    when: When = ALWAYS
    """Conditions on the series; all must hold. Of a route with `series`: on each of them."""
    series: dict[str, RoleConfig] = Field(default_factory=dict)
    """Several series of a study, by the pipeline's names for them; empty: one series."""
    wait: Seconds = 1800.0
    """For the rest of `series`, once the first of them is complete."""
    run: str
    send: tuple[str, ...] = ()
    priority: int = 0
    """Higher runs first; an urgent request counts above it."""
    hours: tuple[WindowConfig, ...] = ()
    """When its jobs may start; empty: at any time."""
    shadow: bool = False
    """Run and keep, deliver nothing."""


class DestinationConfig(Section):
    """A peer that results are delivered to: by C-STORE to a host and port, or by STOW-RS to a url."""

    ae_title: AETitle = "ANY-SCP"
    host: str = ""
    port: Port = 104
    url: WebAddress | None = None
    """Base of its DICOMweb services, such as https://pacs.example/dicom-web."""
    outputs: tuple[_NamedOutput, ...] = DEFAULT_OUTPUTS
    profile: ProfileName = "generic"
    """What its viewers show; each output comes in the best form that they show and that it accepts."""
    timeout: Seconds = 30.0
    confirm: Literal[False, True, "commitment"] = False
    """Delivered only when it lists the object, asked by C-FIND, or by QIDO-RS where it has a url; or when
    it takes responsibility for the object, asked by storage commitment."""
    commitment_wait: Seconds = 3600.0
    """For it to tell whether it takes responsibility; then what it lists decides."""
    priors: bool = False
    """It is asked for earlier reports of the patient, whose values the new results show as trends."""
    rejection_notes: bool = False
    """It is told which results a later revision has replaced, by rejection notes (IHE IOCM)."""

    @property
    def where(self) -> str:
        """How texts name it: "PACS at 10.0.0.5:104", or its url without user and password."""
        if self.url is None:
            return f"{self.ae_title} at {self.host}:{self.port}"
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class WebConfig(Section):
    """The status page, with health, metrics and JSON; it only reads, and shows no patient data."""

    address: str = "127.0.0.1"
    port: Port = 11180


class Config(Section):
    """The whole of conf.yaml."""

    node: NodeConfig = NodeConfig()
    receive: ReceiveConfig = ReceiveConfig()
    complete: CompletionConfig = CompletionConfig()
    keep: KeepConfig = KeepConfig()
    web: WebConfig | None = WebConfig()
    """None: no status page."""
    peers: dict[str, PeerConfig] = Field(default_factory=dict)
    understanding: tuple[LessonConfig, ...] = ()
    pipelines: dict[str, PipelineConfig] = Field(default_factory=dict)
    routes: tuple[RouteConfig, ...] = ()
    destinations: dict[str, DestinationConfig] = Field(default_factory=dict)
