"""The transform from an image to a network's input, as plain values that a checkpoint can store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from repronet.data.preprocessing import PixelMap, pad_to
from repronet.data.reading import ImageLike, centre_crop, opened, resize_short_side, squared
from repronet.data.whitening import GlobalContrast, LocalContrast, PerImage, PerPixelMean, Preprocessing, Zca
from repronet.errors import UserError

PIXEL_MAPS: dict[str, type] = {
    kind.__name__: kind for kind in (PixelMap, PerPixelMean, PerImage, GlobalContrast, LocalContrast, Zca)
}
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601 weights, which Pillow uses to convert colours to grey
VIEWS = {"center": 1, "ten_crop": 10, "multi_scale": 50, "crops_144": 144}
DENSE = ("dense", "dense_multi_scale")  # whole images, for networks that accept any size
SCALES = (224, 256, 384, 480, 640)  # He et al. 2016, section 4.1, in proportion to a network of 224 pixels
SQUARED = (256, 288, 320, 352)  # Szegedy et al. 2015, section 7, in the same proportion


@dataclass(frozen=True)
class EvalTransform:
    """The transform of an image to the input that the network was trained on."""

    classes: tuple[str, ...]  # class names, in label order
    channels: int  # 1 for grey, 3 for RGB
    size: int  # height and width of the network's input
    short_side: int  # pixels that an image's shorter side is resized to before the centre crop
    pad: bool  # whether smaller images are padded with background instead, as digits are
    pixel_map: Preprocessing  # from pixels to the network's numbers
    # the size of the training images if smaller than the network's input: an image is resized to it, and enlarged
    # after the pixel map, as they were
    native: int | None = None
    # pixels that a file's shorter side is reduced to when it is read, as in training: a JPEG is decoded at a
    # fraction of its size, which gives other pixels. None: files are read at full size.
    read_side: int | None = None
    # whether an image may have several classes, each with its own probability
    multilabel: bool = False
    fit: str = "crop"  # "crop", or how whole images become squares, see :func:`repronet.data.reading.squared`

    def plain(self) -> dict[str, Any]:
        """The fields as plain values and tensors."""
        kind = type(self.pixel_map)
        values = {item.name: getattr(self.pixel_map, item.name) for item in fields(kind)}  # type: ignore[arg-type]
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**own, "classes": list(self.classes), "pixel_map": {"kind": kind.__name__, **values}}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> EvalTransform:
        """Rebuild the transform from the result of :meth:`plain`.

        Raises:
            UserError: for anything else.
        """
        try:
            values = dict(plain["pixel_map"])
            pixel_map = PIXEL_MAPS[values.pop("kind")](**values)
            return cls(**{**plain, "classes": tuple(plain["classes"]), "pixel_map": pixel_map})
        except (KeyError, TypeError) as error:
            raise UserError(f"the checkpoint does not record the preprocessing of its images ({error})") from error

    def to_json(self) -> str:
        """The fields as JSON, for the metadata of a weights file; :meth:`of_json` reads it."""
        return json.dumps(self.plain(), default=lambda tensor: {"tensor": tensor.tolist()})

    @classmethod
    def of_json(cls, text: str) -> EvalTransform:
        """Rebuild the transform from the result of :meth:`to_json`.

        Raises:
            UserError: for anything else.
        """
        try:
            plain = json.loads(
                text, object_hook=lambda found: torch.tensor(found["tensor"]) if "tensor" in found else found
            )
        except ValueError as error:
            raise UserError(f"the file does not record the preprocessing of its images ({error})") from error
        return cls.of(plain)

    def __call__(self, image: ImageLike) -> Tensor:
        """Transform an image of any size to float32 (channels, size, size), the view used in validation.

        Args:
            image: a path, a PIL image, an array (H, W), (H, W, C) or (C, H, W), or a tensor (C, H, W); both of bytes.
        """
        return self.views(self.opened(image), "center")[0]

    def opened(self, image: ImageLike) -> Tensor:
        """Read an image as uint8 (C, H, W), C = 1 or 3, in the same way as the training images.

        Raises:
            UserError: if it is not an image or cannot be read.
        """
        found = opened(image, self.read_side, self.fit)
        return found if self.fit == "crop" else squared(found, self.short_side, self.fit)

    def views(self, image: Tensor, protocol: str) -> Tensor:
        """uint8 (C, H, W) of any size → float32 (V, channels, size, size), the views that ``protocol`` averages over.

        ``center``: the centre crop. ``ten_crop``: the corners and the centre, and their mirror images (Krizhevsky et
        al. 2012, section 4.1). ``multi_scale``: ten crops at each of five sizes (He et al. 2016, section 4.1).
        ``crops_144``: ten crops of three squares at each of four sizes, and the squares themselves, reduced, with
        their mirror images (Szegedy et al. 2015, section 7).
        """
        if protocol == "center":
            views = self.seen(image)[None]
        elif protocol == "ten_crop":
            image = self._coloured(image)
            views = ten_crops(resize_short_side(image, max(self.short_side, self._side)), self._side)
        else:
            image, scales = self._coloured(image), SCALES if protocol == "multi_scale" else SQUARED
            resized = [resize_short_side(image, max(round(self._side * scale / 224), self._side)) for scale in scales]
            if protocol == "multi_scale":
                views = torch.cat([ten_crops(one, self._side) for one in resized])
            else:
                views = torch.cat([twelve_crops(square, self._side) for one in resized for square in squares(one)])
        numbers = self.pixel_map(views)  # (V, C, side, side)
        if self.native is None:
            return numbers
        return F.interpolate(numbers, (self.size, self.size), mode="bilinear", align_corners=False)

    def whole(self, image: Tensor, protocol: str) -> list[Tensor]:
        """uint8 (C, H, W) of any size → one float32 (2, channels, h, w) per size: the whole image and its mirror image.

        ``dense``: one size, the one that ``center`` crops (Simonyan and Zisserman 2015, section 3.2).
        ``dense_multi_scale``: five sizes (He et al. 2016, section 3.4).

        Raises:
            UserError: if ``native`` is set, or the pixel map was fitted to images of one size.
        """
        if self.native is not None or isinstance(self.pixel_map, PerPixelMean | Zca):
            raise UserError(f"protocol={protocol}: the images of this run are of one size; take center or ten_crop")
        sides = [round(self.size * scale / 224) for scale in SCALES] if protocol == DENSE[1] else [self.short_side]
        resized = [resize_short_side(self._coloured(image), max(side, self.size)) for side in sides]
        return [self.pixel_map(torch.stack((one, one.flip(-1)))) for one in resized]

    @property
    def _side(self) -> int:
        """Height and width of the views before the pixel map."""
        return self.native or self.size

    def _coloured(self, image: Tensor) -> Tensor:
        """The image with the network's channels: grey is repeated, colours are weighted to grey."""
        if self.channels == image.shape[0]:
            return image
        if self.channels == 3:
            return image.expand(3, -1, -1)
        grey = (image.float() * torch.tensor(LUMA)[:, None, None]).sum(0, keepdim=True).round()  # (3, H, W) → (1, H, W)
        return grey.to(torch.uint8)

    def seen(self, image: Tensor) -> Tensor:
        """uint8 (C, H, W), C = 1 or 3, of any size → uint8 (channels, side, side), what the network sees."""
        image = self._coloured(image)
        if self.pad and max(image.shape[-2:]) <= self._side:
            return pad_to(image[None], self._side)[0]
        return centre_crop(resize_short_side(image, self.native or self.short_side), self._side)


def ten_crops(image: Tensor, size: int) -> Tensor:
    """Crop the four corners and the centre, and mirror each: (C, H, W) → (10, C, size, size)."""
    height, width = image.shape[-2:]
    corners = [(top, left) for top in (0, height - size) for left in (0, width - size)]
    places = [*corners, ((height - size) // 2, (width - size) // 2)]
    crops = torch.stack([image[:, top : top + size, left : left + size] for top, left in places])
    return torch.cat([crops, crops.flip(-1)])  # (5, C, size, size) → (10, C, size, size)


def squares(image: Tensor) -> list[Tensor]:
    """The left, middle and right squares, or upper, middle and lower: (C, H, W) → three (C, S, S), S = min(H, W)."""
    height, width = image.shape[-2:]
    side, spare, along = min(height, width), abs(width - height), 2 if width > height else 1
    return [image.narrow(along, begin, side) for begin in (0, spare // 2, spare)]


def twelve_crops(square: Tensor, size: int) -> Tensor:
    """Ten crops, and the square itself reduced, with its mirror image: (C, S, S) → (12, C, size, size)."""
    crops = torch.cat([ten_crops(square, size)[:5], resize_short_side(square, size)[None]])
    return torch.cat([crops, crops.flip(-1)])


def probabilities_of(logits: Tensor, multilabel: bool) -> Tensor:
    """Logits (N, classes) → probabilities: softmax, or the sigmoid if an image may have several classes."""
    return torch.sigmoid(logits) if multilabel else F.softmax(logits, dim=-1)


def mean_probabilities(logits: Tensor, multilabel: bool = False) -> Tensor:
    """The mean of the probabilities over views: logits (V, classes) → probabilities (classes,)."""
    return probabilities_of(logits.float(), multilabel).mean(dim=0)
