"""torchmetrics imports torchvision."""

from benchmarks import torchvision_shim

torchvision_shim.install()
