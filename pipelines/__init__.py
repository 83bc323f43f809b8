"""The pipelines that come with the node; of the project each imports only `dicom_node.pipeline`."""
