"""The front of ResNet-56 on CIFAR-10, over split seeds."""
