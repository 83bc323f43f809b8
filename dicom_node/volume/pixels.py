"""Decodes the planes of a stack in parallel, straight into one array, in the modality's units."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGExtended12Bit

from dicom_node.errors import BadInput
from dicom_node.headers import ODD_VALUES
from dicom_node.volume import extended
from dicom_node.volume.planes import Encoding, Plane

Pixels = NDArray[np.int16] | NDArray[np.float32]
Stored = NDArray[Any]  # integers of whatever width the file has

AIR_HU = -1024
"""Lower end of the CT numbers in common use: padding outside the scanned circle becomes this."""
FASTEST = ("pyjpegls", "pylibjpeg")
"""pydicom's plugins that decode two to five times as fast as those that it would try first."""
MAX_THREADS = 8
"""Decoding is bound by memory beyond this."""

extended.register()


class _Overflow(Exception):  # noqa: N818 - no error: the values only need another type
    """Values don't fit int16."""


class Reading(NamedTuple):
    """How pixels are read.

    Attributes:
        threads: how many decode; None: one for each core that this process may use, up to MAX_THREADS.
        empty: makes the array that they are read into, as numpy.empty does.
    """

    threads: int | None = None
    empty: Callable[[tuple[int, ...], DTypeLike], NDArray[Any]] = np.empty


ALONE = Reading()
"""By all cores, into an array of this process."""


def read_pixels(planes: Sequence[Plane], how: Reading = ALONE) -> Pixels:
    """Decodes planes into one array.

    Args:
        planes: of equal shape, in the order of k.
        how: by how many threads, and into which array.

    Returns:
        (k, j, i) after Modality LUT's linear rescale: int16 where every value is a whole number that
        fits, else float32. CT padding below -1024 HU becomes -1024 HU.

    Raises:
        BadInput: colour, truncated or corrupt pixels, or a compression that no installed decoder knows.
    """
    for plane in planes:
        _check(plane.encoding)
    try:
        return _filled(planes, how, whole=_whole_numbers(planes))
    except _Overflow:
        return _filled(planes, how, whole=False)


def inverted(array: Pixels, plane: Plane) -> Pixels:
    """Turns MONOCHROME1, where the lowest stored value is shown brightest (PS3.3 C.7.6.3.1.2), around."""
    encoding = plane.encoding
    low, high = _stored_range(encoding)
    return np.asarray(np.float32((low + high) * plane.slope + 2 * plane.intercept) - array)


def without_copies(stack: Sequence[Plane]) -> list[Plane]:
    """Leaves out planes at the position of the one before that have the very same stored pixels.

    Args:
        stack: sorted along its normal.
    """
    kept: list[Plane] = []
    for plane in stack:
        twin = kept and plane.position == kept[-1].position and plane.path != kept[-1].path
        if not (twin and plane.encoding.frames == 1 and _stored(plane) == _stored(kept[-1])):
            kept.append(plane)
    return kept


def _stored(plane: Plane) -> bytes:
    return plane.path.read_bytes()[plane.encoding.offset :]


def _check(encoding: Encoding) -> None:
    if encoding.samples != 1 or not encoding.photometric.startswith("MONOCHROME"):
        raise BadInput(f"colour images ({encoding.photometric}) have no modality values")
    if encoding.bits_allocated not in (8, 16, 32, 64):
        raise BadInput(f"{encoding.bits_allocated} bits allocated are not supported")


def _whole_numbers(planes: Sequence[Plane]) -> bool:
    return all(
        plane.slope == 1.0 and plane.intercept.is_integer() and plane.encoding.bits_stored <= 16
        for plane in planes
    )


def _filled(planes: Sequence[Plane], how: Reading, *, whole: bool) -> Pixels:
    array: Pixels = how.empty((len(planes), *planes[0].shape), np.int16 if whole else np.float32)
    files: dict[Path, list[int]] = defaultdict(list)
    for k, plane in enumerate(planes):
        files[plane.path].append(k)
    threads = how.threads or min(len(os.sched_getaffinity(0)), MAX_THREADS)
    # warnings are silenced here, once: their filters are the process's, not a thread's
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        jobs = [
            pool.submit(part) for ks in files.values() for part in _parts_of_file(planes, ks, array, threads)
        ]
        for job in jobs:
            job.result()
    return array


def _parts_of_file(
    planes: Sequence[Plane], ks: Sequence[int], array: Pixels, threads: int
) -> Iterator[Callable[[], None]]:
    """Yields the work on one file: whole, or for a compressed multi-frame object, a share for each thread."""
    if planes[ks[0]].encoding.native:
        yield partial(_guarded, _fill_native, planes, ks, array)
    elif len(ks) == 1:
        yield partial(_guarded, _fill_decoded, planes, ks, array)
    else:
        ds = dcmread(planes[ks[0]].path, force=True)  # once: the shares read frames of the same bytes
        for first in range(min(threads, len(ks))):
            yield partial(_guarded, _fill_decoded, planes, ks[first::threads], array, ds)


def _guarded(fill: Callable[..., None], planes: Sequence[Plane], ks: Sequence[int], *more: Any) -> None:
    try:
        fill(planes, ks, *more)
    except (*ODD_VALUES, RuntimeError) as error:  # pydicom's decoders raise RuntimeError for anything
        if isinstance(error, OSError) and error.errno is not None:
            raise
        name, text = planes[ks[0]].encoding.transfer_syntax_uid.name, str(error).splitlines()[:1]
        raise BadInput(f"pixels in {name} can't be decoded: {''.join(text)}") from error


def _fill_native(planes: Sequence[Plane], ks: Sequence[int], array: Pixels) -> None:
    encoding, shape = planes[ks[0]].encoding, planes[ks[0]].shape
    header = 8 if encoding.transfer_syntax_uid.is_implicit_VR else 12  # before the value, PS3.5 7.1
    with planes[ks[0]].path.open("rb", buffering=0) as file:
        file.seek(encoding.offset)
        dtype = _native_dtype(file.read(4), encoding)
        in_place = array.dtype == np.int16 and dtype.kind in "iu" and dtype.itemsize == 2
        for k in ks:
            stored: Stored = array[k].view(dtype) if in_place else np.empty(shape, dtype)
            file.seek(encoding.offset + header + planes[k].index * stored.nbytes)
            if file.readinto(memoryview(stored.data).cast("B")) != stored.nbytes:
                raise BadInput("the file ends before its pixels do")
            _place(stored, planes[k], array[k])


def _native_dtype(tag: bytes, encoding: Encoding) -> np.dtype[Any]:
    """The type of the values of Pixel Data, Float Pixel Data or Double Float Pixel Data, by their tag."""
    if tag in (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00"):
        return np.dtype("<f4" if tag[2] == 8 else "<f8")
    if tag != b"\xe0\x7f\x10\x00":
        raise BadInput("the file holds no pixels")
    return np.dtype(f"<{'i' if encoding.signed else 'u'}{encoding.bits_allocated // 8}")


def _fill_decoded(
    planes: Sequence[Plane], ks: Sequence[int], array: Pixels, ds: Dataset | None = None
) -> None:
    ds = ds or dcmread(planes[ks[0]].path, force=True)
    encoding = planes[ks[0]].encoding
    decoder = get_decoder(encoding.transfer_syntax_uid)
    wide = encoding.transfer_syntax_uid == JPEGExtended12Bit and encoding.bits_stored > 8
    choice = (extended.LABEL,) if wide else FASTEST
    plugin = next((name for name in choice if name in decoder.available_plugins), "")
    indices = [planes[k].index for k in ks]
    frames = decoder.iter_array(ds, indices=indices, raw=True, decoding_plugin=plugin)
    for k, (stored, _) in zip(ks, frames, strict=True):
        _place(stored, planes[k], array[k])


def _place(stored: Stored, plane: Plane, out: Pixels) -> None:
    """Writes stored values, rescaled, into one slice of the volume; `stored` may be that slice's memory."""
    encoding = plane.encoding
    values = _significant(stored, encoding)
    padding = _padding_mask(values, plane)
    if out.dtype == np.int16:
        _check_range(values, plane, padding)
        # whole numbers modulo 2^16: right whatever the sign, once the range is known to fit
        np.add(values.astype(np.int16, copy=False), np.int16(plane.intercept), out=out)
    else:
        np.multiply(values, np.float32(plane.slope), out=out, casting="unsafe")
        out += np.float32(plane.intercept)
    if padding is not None:
        np.putmask(out, padding, AIR_HU)


def _significant(stored: Stored, encoding: Encoding) -> Stored:
    """Drops what stands outside Bits Stored (PS3.5 8.1.1), such as overlays, and extends the sign."""
    unused = encoding.bits_allocated - encoding.bits_stored
    if unused <= 0 or not encoding.native:
        return stored
    up = encoding.bits_allocated - 1 - encoding.high_bit
    return np.right_shift(np.left_shift(stored, up), unused)


def _padding_mask(values: Stored, plane: Plane) -> NDArray[np.bool_] | None:
    """Finds CT padding, where it can't be taken for a measurement."""
    if plane.modality != "CT" or plane.encoding.padding is None:
        return None
    lowest, highest = plane.encoding.padding
    if highest * plane.slope + plane.intercept >= AIR_HU:
        return None
    if lowest == highest:
        return np.asarray(values == lowest)
    return np.asarray((values >= lowest) & (values <= highest))


def _check_range(values: Stored, plane: Plane, padding: NDArray[np.bool_] | None) -> None:
    """Raises _Overflow where a rescaled value doesn't fit int16; looks at pixels only where it may not."""
    encoding, intercept = plane.encoding, int(plane.intercept)
    stated = _stored_range(encoding)
    if _fits(stated[0], stated[1], intercept) or _fits(int(values.min()), int(values.max()), intercept):
        return
    real = values if padding is None else values[~padding]
    if real.size and not _fits(int(real.min()), int(real.max()), intercept):
        raise _Overflow


def _stored_range(encoding: Encoding) -> tuple[int, int]:
    bits = encoding.bits_stored
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if encoding.signed else (0, (1 << bits) - 1)


def _fits(lowest: int, highest: int, intercept: int) -> bool:
    return lowest + intercept >= -32768 and highest + intercept <= 32767
