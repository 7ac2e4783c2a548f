"""GoogLeNet, Inception-v3."""

from __future__ import annotations

from functools import partial

from repronet.papers.records import (
    IMAGENET,
    RESPONSE_NORM_ALPHA,
    TOP5,
    TORCHVISION,
    Citation,
    Error,
    Facts,
    Paper,
    Printed,
    Recipe,
    Statistic,
    both,
    stages,
)

GOING_DEEPER = Paper(
    "C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich",
    "Going Deeper with Convolutions",
    "CVPR 2015",
    2014,
    "1409.4842",
)
RETHINKING = Paper(
    "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna",
    "Rethinking the Inception Architecture for Computer Vision",
    "CVPR 2016",
    2015,
    "1512.00567",
)
_going = partial(Citation, "arXiv:1409.4842")
_rethinking = partial(Citation, "arXiv:1512.00567")
_CAFFE = Citation("BVLC/caffe", "models/bvlc_googlenet/readme.md", "secondary")
_SLIM = Citation("tensorflow/models", "research/slim/README.md", "authors' repository")
_BEST_OF_7 = "the one of seven networks that validates best"
# Table 1: what leaves each stage.
_GOOGLENET_STAGES = stages(
    "conv1 64×112×112, conv3 192×56×56, inception3a 256×28×28, inception3b 480×28×28, inception4a 512×14×14,"
    "inception4b 512×14×14, inception4c 512×14×14, inception4d 528×14×14, inception4e 832×14×14,"
    "inception5a 832×7×7, inception5b 1024×7×7"
)

NETWORKS = {
    "googlenet": Facts(
        GOING_DEEPER,
        "5×5 branches, local response norm, two auxiliary heads",
        6_998_552,
        *IMAGENET,
        notes=("section 1 speaks of a budget of 1.5 G operations, which the layers exceed", RESPONSE_NORM_ALPHA),
        macs=1_582_671_872,
        with_heads=13_378_280,
        stages=_GOOGLENET_STAGES,
        errors=(
            Error(10.07, TOP5, "1-crop", _going("table 3"), note=_BEST_OF_7),
            Error(9.15, TOP5, "10-crop", _going("table 3"), note=_BEST_OF_7),
            Error(7.89, TOP5, "144-crop", _going("table 3"), note=_BEST_OF_7),
            Error(8.09, TOP5, "1-crop", _going("table 3"), Statistic("ensemble", 7)),
            Error(7.62, TOP5, "10-crop", _going("table 3"), Statistic("ensemble", 7)),
            Error(6.67, TOP5, "144-crop", _going("table 3"), Statistic("ensemble", 7)),
            *both(31.3, 11.1, "1-crop", _CAFFE, "a reproduction in Caffe, 60 epochs"),
        ),
        recipe=Recipe(
            "SGD 0.9, rate lowered by 4 % every 8 epochs, Polyak averaging, auxiliary losses weighted 0.3",
            _going("sections 5 and 6"),
        ),
    ),
    "googlenet_bn": Facts(
        GOING_DEEPER,
        "batch norm, 3×3 for 5×5: torchvision's googlenet",
        6_624_904,
        *IMAGENET,
        source="torchvision",
        modern=True,
        deviations=("batch norm for local response norm and biases", "3×3 in the branch that is 5×5 in the paper"),
        macs=Printed("1.498 G"),
        with_heads=13_004_888,
        stages=_GOOGLENET_STAGES,
        errors=both(30.222, 10.47, "1-crop", TORCHVISION, "weights converted from Google's"),
    ),
    "inception_v3": Facts(
        RETHINKING,
        "factorised convolutions, one auxiliary head",
        23_834_568,
        (3, 299, 299),
        1000,
        source="torchvision",
        macs=Printed("5.713 G"),
        with_heads=27_161_264,
        stages=stages(
            "Conv2d_1a_3x3 32×149×149, Conv2d_2a_3x3 32×147×147, Conv2d_2b_3x3 64×147×147, Conv2d_3b_1x1 80×73×73,"
            "Conv2d_4a_3x3 192×71×71, Mixed_5d 288×35×35, Mixed_6e 768×17×17, Mixed_7c 2048×8×8"
        ),
        receptive_field=("Mixed_7c", 1311),
        errors=(
            *both(21.2, 5.6, "1-crop", _rethinking("table 3"), images=48_238),
            *both(21.4, 5.7, "1-crop", _rethinking("section 10"), "about, from those of 48,238 images"),
            *both(22.0, 6.1, "1-crop", _SLIM, "the released weights"),
        ),
        recipe=Recipe(
            "RMSProp 0.9 with ε = 1, rate 0.045, times 0.94 every 2 epochs, gradients clipped at 2,"
            " label smoothing 0.1",
            _rethinking("sections 7 and 8"),
        ),
    ),
}
