"""Where a classifier looked: Grad-CAM or, in vision transformers, what the attention was worth.

Grad-CAM (Selvaraju et al., ICCV 2017) is MONAI's; the relevance of attention is by Chefer et al., ICCV 2021.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ModelUnavailable


def explainer_of(model: Any) -> Explainer:
    """What makes heat maps of a loaded torch module: attention for a plain vision transformer, else Grad-CAM.

    Raises ModelUnavailable where neither can be made.
    """
    config = getattr(model, "config", None)
    heads, patch = (getattr(config, name, None) for name in ("num_attention_heads", "patch_size"))
    plain = isinstance(heads, int) and patch is not None and hasattr(model, "set_attn_implementation")
    return AttentionRelevance(model) if plain else ClassActivation(model)


class Explainer(Protocol):
    """Makes maps of how much each place spoke for a class."""

    def __call__(self, inputs: Any, number: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Takes a tensor (n, channels, *space), a class and the maps' size; gives (n, *shape) in 0..1."""


class AttentionRelevance:
    """Heat maps of one loaded vision transformer of the Hugging Face kind, with one grid of patches."""

    def __init__(self, model: Any) -> None:
        # The faster ways to attend don't tell how much.
        model.set_attn_implementation("eager")
        self._model = model

    def __call__(self, inputs: Any, number: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Maps of how much each patch spoke for a class; see `Explainer`."""
        import torch

        with torch.enable_grad():
            output = self._model(pixel_values=inputs, output_attentions=True)
            slopes = torch.autograd.grad(output.logits[:, number].sum(), output.attentions)
        tokens = output.attentions[0].shape[-1]
        relevance = torch.eye(tokens, device=inputs.device).expand(len(inputs), -1, -1)
        for attention, slope in zip(output.attentions, slopes, strict=True):
            spoke_for = (attention * slope).clamp(min=0).mean(dim=1).float()
            relevance = relevance + spoke_for @ relevance
        patch = self._model.config.patch_size
        size = (patch, patch) if isinstance(patch, int) else patch
        rows, columns = (int(n) // int(p) for n, p in zip(inputs.shape[-2:], size, strict=True))
        # The class token comes first; there may be others before the patches.
        patches = relevance[:, 0, tokens - rows * columns :].reshape(-1, 1, rows, columns)
        return _scaled(patches, shape)


class ClassActivation:
    """Heat maps of one loaded model. Made once for it: MONAI's hooks stay on the model's last convolution."""

    def __init__(self, model: Any) -> None:
        """Prepares a torch module whose output is logits (n, classes), or has them as `logits`.

        Raises ModelUnavailable where MONAI is not installed, or the network has no convolution.
        """
        import torch

        try:
            from monai.visualize.class_activation_maps import GradCAM
        except ImportError as error:
            raise ModelUnavailable("heat maps need the package monai; install dicom-node[models]") from error

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, inputs: Any) -> Any:
                output = self.model(inputs)
                return getattr(output, "logits", output)

        kinds = (torch.nn.Conv2d, torch.nn.Conv3d)
        layers = [name for name, module in model.named_modules() if isinstance(module, kinds)]
        if not layers:
            raise ModelUnavailable("heat maps need a network with convolutions")
        self._camera = GradCAM(Logits().eval(), target_layers=f"model.{layers[-1]}")

    def __call__(self, inputs: Any, number: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Maps of how much each place spoke for a class.

        Args:
            inputs: tensor (n, channels, *space).
            number: the class.
            shape: the size of the maps, (rows, columns) or (k, j, i).

        Returns:
            (n, *shape) float32, each map scaled to 0..1; zeros where nothing spoke for the class.
        """
        import torch

        # One input at a time: the class's score is summed over a batch.
        camera: Any = self._camera
        maps = torch.cat([camera.compute_map(each[None], class_idx=number) for each in inputs])
        return _scaled(maps, shape)


def _scaled(maps: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Maps (n, 1, *space) at another size, (n, *shape), each scaled to 0..1; zeros stay."""
    import torch

    mode = "bilinear" if len(shape) == 2 else "trilinear"
    sized = torch.nn.functional.interpolate(maps.detach().float(), size=shape, mode=mode)[:, 0]
    most = sized.amax(dim=tuple(range(1, sized.ndim)), keepdim=True).clamp(min=1e-12)
    return np.asarray((sized / most).clamp(0, 1).cpu(), dtype=np.float32)
