"""CIFAR-10: the data, the networks, the judges and the protocols of ``cifar10-ddpm``."""
