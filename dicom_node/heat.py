"""Where a classifier looked: Grad-CAM (Selvaraju et al., ICCV 2017) by MONAI, for convolutional networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ModelUnavailable


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
        self._camera = GradCAM(Logits(), target_layers=f"model.{layers[-1]}")

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
        mode = "bilinear" if len(shape) == 2 else "trilinear"
        sized = torch.nn.functional.interpolate(maps.detach().float(), size=shape, mode=mode)[:, 0]
        most = sized.amax(dim=tuple(range(1, sized.ndim)), keepdim=True).clamp(min=1e-12)
        return np.asarray((sized / most).clamp(0, 1).cpu(), dtype=np.float32)
