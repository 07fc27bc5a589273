"""Untrained classifiers: float pixels in [0, 255] in, probabilities out."""

from cnnkit.models.alexnet import alexnet, alexnet_pooled
from cnnkit.models.alexnet_cifar import alexnet_cifar
from cnnkit.models.capsnet import capsnet
from cnnkit.models.capsnet_reconstruction import capsnet_with_reconstruction
from cnnkit.models.darknet import darknet19
from cnnkit.models.densenet import densenet
from cnnkit.models.densenet_cifar import densenet_cifar
from cnnkit.models.efficientnet import efficientnet
from cnnkit.models.efficientnet_v2 import efficientnet_v2
from cnnkit.models.googlenet import googlenet, googlenet_with_auxiliary_heads
from cnnkit.models.googlenet_cifar import googlenet_cifar
from cnnkit.models.graph import graph_net
from cnnkit.models.mobilenet import mobilenet
from cnnkit.models.mobilenet_cifar import mobilenet_cifar
from cnnkit.models.mobilenet_v3 import mobilenet_v3
from cnnkit.models.resnet import resnet
from cnnkit.models.resnet_cifar import plain_cifar, resnet_cifar
from cnnkit.models.small_cnn import small_cnn
from cnnkit.models.tiny_vgg import tiny_vgg
from cnnkit.models.vgg import vgg, vgg_pooled
from cnnkit.models.vit import vit
from cnnkit.models.vit_cifar import vit_cifar

__all__ = [
    "alexnet",
    "alexnet_cifar",
    "alexnet_pooled",
    "capsnet",
    "capsnet_with_reconstruction",
    "darknet19",
    "densenet",
    "densenet_cifar",
    "efficientnet",
    "efficientnet_v2",
    "googlenet",
    "googlenet_cifar",
    "googlenet_with_auxiliary_heads",
    "graph_net",
    "mobilenet",
    "mobilenet_cifar",
    "mobilenet_v3",
    "plain_cifar",
    "resnet",
    "resnet_cifar",
    "small_cnn",
    "tiny_vgg",
    "vgg",
    "vgg_pooled",
    "vit",
    "vit_cifar",
]
