"""The networks, as factories for the command line: classifiers with other last layers."""

import numpy as np
from torch import nn

from benchmarks.cifar_resnet import CifarResNet
from offramp.demo.network import DigitNet

ATTRIBUTES = {
    "animal": (2, 3, 4, 5, 6, 7),
    "four legs": (3, 4, 5, 7),
    "flies": (0, 2),
    "has wheels": (0, 1, 9),
    "pet": (3, 5),
    "hooved": (4, 7),
    "in or on water": (6, 8),
    "metal": (0, 1, 8, 9),
}
"""Which of CIFAR-10's classes (airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck) have them."""

MASS = np.array([4.6, 3.2, -1.3, 0.6, 1.9, 1.3, -1.5, 2.7, 7.0, 4.0])
"""Of a typical one of each class, as the decimal logarithm of kilograms."""


def attributes() -> CifarResNet:
    """ResNet-56 with a logit for each attribute."""
    return CifarResNet(9, len(ATTRIBUTES))


def mass() -> CifarResNet:
    """ResNet-56 with one value: the logarithm of the mass of what is seen."""
    return CifarResNet(9, 1)


def angle() -> DigitNet:
    """The network of the demonstration with one value: by how many degrees a digit is turned."""
    model = DigitNet()
    model.classifier = nn.Linear(48, 1)
    return model
