"""The data sets of the suite's tasks, but for scikit-learn's digits."""

from __future__ import annotations

from .dataset import DataSet

CIFAR10 = DataSet(
    folder="cifar10",
    size=32,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    fit="exact",
    image="img",
    hub_id="uoft-cs/cifar10",
    revision="0b2714987fa478483af9968de7c934580d0bb9a2",
    sha256={
        "train": "6a3b2c04d0a79ce272dcdacaf0bc440275db5a8cbe3717521a28fada2ea0d2ed",
        "test": "65a6ffe079453e514083f99356b35e02cbfd581b4951e3937fae188974b79f39",
    },
)
"""60,000 photographs (Krizhevsky, 2009)."""

MNIST = DataSet(
    folder="mnist",
    size=28,
    channels=1,
    classes=tuple("0123456789"),
    fit="exact",
    hub_id="ylecun/mnist",
    revision="77f3279092a1c1579b2250db8eafed0ad422088c",
    sha256={
        "train": "ceb3e674a3a567b82f03fd1264419a45cc9ac39bf428d8232da00b039bd31208",
        "test": "f7fcf1e9ddc514516467e2f69994c4b2f1e65c6de8ec7260f54e34fba6483f5e",
    },
    own_order=True,
)
"""70,000 scans of digits (LeCun et al., 1998)."""

TINY_IMAGENET = DataSet(
    folder="tiny-imagenet",
    also=("tiny-imagenet-20",),
    size=64,
    fit="press",
    test="valid",
    hub_id="zh-plus/tiny-imagenet",
    revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
)
"""100,000 photographs of 200 of ImageNet's classes, or of some of them."""

MINIPLACES = DataSet(folder="miniplaces", also=("miniplaces-20",), size=64, fit="press", test="val")
"""100,000 photographs of 100 of the categories of Places2 (Zhou et al., 2018), or of some of them."""

IMAGENET = DataSet(
    folder="imagenet-1k",
    size=224,
    shorter=256,
    test="validation",
    hub_id="ILSVRC/imagenet-1k",
    revision="49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
)
"""1.3 million photographs of 1,000 classes (Russakovsky et al., 2015)."""

PLACES365 = DataSet(folder="places365", size=256, fit="press", test="validation")
"""1.8 million photographs of 365 categories (Zhou et al., 2018); pressed to squares, as the released code of Palette does."""
