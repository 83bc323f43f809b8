"""Typed models of conf.yaml: `load()` gives a Config, or one ConfigError that lists every fault."""

from dicom_node.config.document import placed
from dicom_node.config.faults import Fault, FaultyConfigError
from dicom_node.config.load import load
from dicom_node.config.models import (
    DEFAULT_OUTPUTS,
    CompletionConfig,
    Config,
    DestinationConfig,
    KeepConfig,
    NodeConfig,
    Output,
    PeerConfig,
    PipelineConfig,
    ReceiveConfig,
    RouteConfig,
    WebConfig,
)
from dicom_node.config.pipelines import pipeline_class, resolve

__all__ = [
    "DEFAULT_OUTPUTS",
    "CompletionConfig",
    "Config",
    "DestinationConfig",
    "Fault",
    "FaultyConfigError",
    "KeepConfig",
    "NodeConfig",
    "Output",
    "PeerConfig",
    "PipelineConfig",
    "ReceiveConfig",
    "RouteConfig",
    "WebConfig",
    "load",
    "pipeline_class",
    "placed",
    "resolve",
]
