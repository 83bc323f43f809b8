"""Typed models of conf.yaml: `load()` gives a Config, or one ConfigError that lists every fault."""

from dicom_node.config.models import (
    CompletionConfig,
    Config,
    DestinationConfig,
    NodeConfig,
    PeerConfig,
    PipelineConfig,
    ReceiveConfig,
    RouteConfig,
)

__all__ = [
    "CompletionConfig",
    "Config",
    "DestinationConfig",
    "NodeConfig",
    "PeerConfig",
    "PipelineConfig",
    "ReceiveConfig",
    "RouteConfig",
]
